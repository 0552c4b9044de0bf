//! The `vaxel` binary: reads the command, wires the parts, says plainly what went wrong.

mod admin;
mod audit;
mod bundle;
mod cli;
mod config;
mod demo;
mod doctor;
mod eid;
mod house;
mod operation;
mod output;
mod plugin;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;

/// Calls allocate on one thread and free on another, which the system's allocator serves under locks.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Before there are threads, a log, or anything that a compiler should not have.
    if let Some(code) = plugin::compile_if_told() {
        return code;
    }
    let cli = cli::Cli::parse();
    output::start_log(cli.log_format, cli.log_level());
    let json = cli.json;
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cli::run(cli)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            output::failure(&error, json);
            ExitCode::FAILURE
        }
    }
}
