//! Repository chores: run the product, test it, let other people's suites at it, measure it.

mod bench;
mod bindings;
mod conform;
mod doubles;
mod fingerprint;
mod groups;
mod guests;
mod packages;
mod python;
mod run;
mod server;
mod shell;
mod suites;
mod test;
mod web;
mod wit_check;

use std::process::ExitCode;

const HELP: &str = "\
Växel's chores

  cargo xtask run [-- FLAGS]        builds everything and starts the server with demo data
  cargo xtask test [--only NAME]    runs every test of ours
  cargo xtask conform [NAME]        runs the suites that others wrote
  cargo xtask bench [NAME]          measures, each number beside its floor

Steps of the above, on their own:
  cargo xtask setup                 installs what is missing (as root), or says what to install
  cargo xtask wit-check             says what in wit/ would break components of a frozen contract
  cargo xtask bindings              writes the Rust SDK's bindings anew, after a change in wit/
  cargo xtask build-plugins         stages plugins and test guests under stage/
  cargo xtask build-web             stages the web client under stage/web

Each takes --help.";

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let command = if args.is_empty() {
        "--help".to_owned()
    } else {
        args.remove(0)
    };
    let wants_help = args.iter().any(|arg| arg == "--help" || arg == "-h");
    let help = match command.as_str() {
        "run" => run::HELP,
        "test" => test::HELP,
        "conform" => conform::HELP,
        "bench" => bench::HELP,
        "setup" | "wit-check" | "bindings" | "build-plugins" | "build-web" | "--help" | "-h"
        | "help" => HELP,
        other => {
            eprintln!("xtask: there is no `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    if wants_help
        || help == HELP
            && !matches!(
                command.as_str(),
                "setup" | "wit-check" | "bindings" | "build-plugins" | "build-web"
            )
    {
        println!("{help}");
        return ExitCode::SUCCESS;
    }
    let done = match command.as_str() {
        "run" => run::run(&args),
        "test" => test::run(&args),
        "conform" => conform::run(&args),
        "bench" => bench::run(&args),
        "setup" => packages::setup_all(),
        "wit-check" => wit_check::check(),
        "bindings" => bindings::write(),
        "build-plugins" => guests::stage_all(),
        _ => web::stage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
