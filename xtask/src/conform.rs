//! `cargo xtask conform`: suites that others wrote.

use anyhow::{Result, bail};

use crate::groups::{Group, run_groups};
use crate::suites;

pub(crate) const HELP: &str = "\
cargo xtask conform [NAME]

Runs the suites that others wrote, against the real server unless it says otherwise:

  autobahn       the WebSocket protocol, every case, against an echo server with the gateway's handshake and
                 socket settings (needs Python 2.7, for example from pyenv)
  sslyze         what the TLS listener offers and refuses (installed under target/python)
  bankid         the tests' stand-in for BankID, driven by pybankid, which judges what it signs
  schemathesis   the OpenAPI document, fuzzed (also part of `cargo xtask test`)

Without a name: autobahn, bankid and sslyze.";

const DEFAULT: &[Group] = &[
    Group {
        name: "autobahn",
        what: "the WebSocket protocol",
        run: suites::autobahn,
    },
    Group {
        name: "bankid",
        what: "the stand-in for BankID",
        run: suites::bankid,
    },
    Group {
        name: "sslyze",
        what: "the TLS listener",
        run: suites::sslyze,
    },
];

const NAMED: &[Group] = &[Group {
    name: "schemathesis",
    what: "the API, fuzzed",
    run: suites::schemathesis,
}];

pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut names = args.iter().filter(|arg| *arg != "--");
    match (names.next(), names.next()) {
        (None, _) => run_groups(DEFAULT, None),
        (Some(name), None) if NAMED.iter().any(|group| group.name == name) => {
            run_groups(NAMED, Some(name))
        }
        (Some(name), None) => run_groups(DEFAULT, Some(name)),
        _ => bail!("conform takes one name at most; see --help"),
    }
}
