//! Load from outside: what the built server does per second, per CPU second, and per socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement fails fast"
)]

mod bare_http;
mod bare_tls;
mod chat;
mod fanout;
mod measure;
mod memory;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "vaxel-load chat|fanout|memory|start DATA_DIRECTORY";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(scenario), Some(data)) = (args.next(), args.next()) else {
        eprintln!("{HELP}");
        return ExitCode::from(2);
    };
    let data = PathBuf::from(data);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    match scenario.as_str() {
        "chat" => runtime.block_on(chat::run(data)),
        "fanout" => runtime.block_on(fanout::run(data)),
        "memory" => runtime.block_on(memory::run(data)),
        "start" => runtime.block_on(start::run(data)),
        // The floors' servers, started by `chat` and `memory` themselves.
        bare_http::SERVE => runtime.block_on(bare_http::serve()),
        bare_tls::SERVE => runtime.block_on(bare_tls::serve(data)),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
