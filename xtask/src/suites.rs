//! Suites that others wrote: two against a demo server, one against an echo with the gateway's socket settings.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::groups::Tally;
use crate::server::{self, Profile, Server};
use crate::shell::{cargo, command, root, run};
use crate::{guests, python, web};

const SCHEMATHESIS: &str = "4.32.5";
const SSLYZE: &str = "6.3.1";
const AUTOBAHN: &str = "25.10.1";
const PYBANKID: &str = "1.5.0";

/// What pybankid's judge of signatures stands on; newer ones lack a function that it calls.
const PYBANKID_NEEDS: [&str; 4] = [
    "asn1crypto==1.5.1",
    "pytz==2025.2",
    "pyOpenSSL==23.3.0",
    "cryptography==41.0.7",
];

/// Calls that end the very session or person that the fuzzer calls as, sign in as somebody, or switch its target off.
const NOT_FUZZED: &str = r"/(session/(logout|login|refresh|demo)|users/(deactivate|reset|change_password)|plugins/disable)$";

/// 422 is our answer to what is well-formed and cannot be done as things stand (editing a deleted message);
/// the suite's own list has only 409 for that.
const SCHEMATHESIS_SETTINGS: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "422", "429"]
"#;

fn demo_server(name: &str) -> Result<Server> {
    guests::stage_all()?;
    web::stage()?;
    let binary = server::build(Profile::Dev)?;
    Server::start(&binary, &root().join("target/suites").join(name))
}

/// Reads our own OpenAPI document and tries to make the server break its word.
pub(crate) fn schemathesis(_: &mut Tally) -> Result<()> {
    let bin = python::tool("schemathesis", SCHEMATHESIS)?;
    let server = demo_server("schemathesis")?;
    let port = server.port("http")?;
    let token = server.login("anna")?;
    let document = server.request("GET", "/api/v1/openapi.json", Some(&token), None)?;
    let operations = document
        .get("paths")
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len);
    if operations < 20 {
        bail!("the OpenAPI document names only {operations} paths");
    }
    println!("    {operations} paths in the document");
    let folder = root().join("target/suites");
    let path = folder.join("openapi.json");
    fs::write(&path, document.to_string()).context("writing the document")?;
    let settings = folder.join("schemathesis.toml");
    fs::write(&settings, SCHEMATHESIS_SETTINGS).context("writing the suite's settings")?;
    let fuzzed = run(Command::new(bin.join("schemathesis"))
        .current_dir(&folder)
        .arg("run")
        .arg(&path)
        .arg(format!("--url=http://127.0.0.1:{port}"))
        .args(["--header", &format!("Host: acme.localhost:{port}")])
        .args(["--header", &format!("Origin: http://acme.localhost:{port}")])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--exclude-path-regex", NOT_FUZZED])
        .args(["--mode", "all", "--max-examples", "15", "--seed", "1"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-failures", "20", "--suppress-health-check", "all"])
        .args(["--no-color", "--request-timeout", "10"]));
    if fuzzed.is_err() {
        println!("    the server's log ends with:\n{}", server.log_tail());
    }
    fuzzed?;
    server.request("POST", "/api/v1/users/me", Some(&token), Some(&json!({})))?;
    server.stop()
}

/// The WebSocket suite. It wants every message back, which our own socket does not do; so it drives an echo server
/// that has the gateway's handshake, socket settings and way to close, and only takes larger messages.
pub(crate) fn autobahn(_: &mut Tally) -> Result<()> {
    let python = python::python2()?;
    let target = root()
        .join("target/python")
        .join(format!("autobahn-{AUTOBAHN}"));
    if !target.join("installed").is_file() {
        run(command(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .arg("--target")
            .arg(&target)
            .arg(format!("autobahntestsuite=={AUTOBAHN}")))?;
        // The packages share the namespace `zope`, which --target leaves without a marker.
        fs::write(target.join("zope/__init__.py"), "").context("marking the namespace")?;
        fs::write(target.join("installed"), AUTOBAHN).context("noting the installation")?;
    }
    // The dev profile, with the features that the tests gave: the suite looks at the protocol, not at speed.
    run(cargo().args(["build", "--workspace", "--example", "ws_echo"]))?;
    let folder = root().join("target/suites/autobahn");
    fs::create_dir_all(&folder).context("making the report's folder")?;
    let log = folder.join("echo.log");
    let stderr = fs::File::create(&log).context("making the log")?;
    let echo = Command::new(root().join("target/debug/examples/ws_echo"));
    let echo = Server::spawn(echo, stderr, log, 1)?;
    let spec = json!({
        "outdir": folder.join("reports"),
        "servers": [{"agent": "vaxel", "url": format!("ws://127.0.0.1:{}", echo.port("ws")?)}],
        "cases": ["*"],
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    let spec_path = folder.join("spec.json");
    fs::write(&spec_path, spec.to_string()).context("writing the spec")?;
    run(command(&python)
        .current_dir(&folder)
        .env("PYTHONPATH", &target)
        .arg(target.join("bin/wstest"))
        .args(["--mode", "fuzzingclient", "--spec"])
        .arg(&spec_path))?;
    let index = fs::read_to_string(folder.join("reports/index.json")).context("the report")?;
    judge_autobahn(&serde_json::from_str(&index).context("the report")?)
}

fn judge_autobahn(index: &Value) -> Result<()> {
    let cases = index
        .get("vaxel")
        .and_then(Value::as_object)
        .context("the report names no cases of ours")?;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut broken = Vec::new();
    for (case, result) in cases {
        let behaviour = result
            .get("behavior")
            .and_then(Value::as_str)
            .unwrap_or("?");
        let close = result
            .get("behaviorClose")
            .and_then(Value::as_str)
            .unwrap_or("?");
        *counts.entry(behaviour).or_default() += 1;
        // Groups 12 and 13 try compression, which is off unless an operator asks for it: a handshake that does not
        // take up the offer is all that they may find missing.
        let compresses = case.starts_with("12.") || case.starts_with("13.");
        let fine = |word: &str| match word {
            "OK" | "NON-STRICT" | "INFORMATIONAL" => true,
            "UNIMPLEMENTED" => compresses,
            _ => false,
        };
        // In 7.3.6 the suite itself sends a close frame that is too long and then drops the connection, so no
        // server can end it cleanly; it says so with these words.
        let fine_close = fine(close) || close == "FAILED BY CLIENT";
        if !fine(behaviour) || !fine_close {
            broken.push(format!("{case} ({behaviour}, close {close})"));
        }
    }
    println!("    {} cases: {counts:?}", cases.len());
    if cases.len() < 200 {
        bail!("only {} cases ran", cases.len());
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!("{} cases failed: {}", broken.len(), broken.join(", "))
}

/// The tests' stand-in for BankID, driven by a client that others wrote and judged by its judge of signatures.
pub(crate) fn bankid(_: &mut Tally) -> Result<()> {
    let bin = python::tool_with("pybankid", PYBANKID, &PYBANKID_NEEDS)?;
    server::build(Profile::Dev)?;
    let folder = root().join("target/suites/bankid");
    fs::create_dir_all(&folder).context("making the stand-in's folder")?;
    let log = folder.join("standin.log");
    let stderr = fs::File::create(&log).context("making the log")?;
    let mut standin = Command::new(root().join("target/debug/bankid-standin"));
    standin.arg(&folder);
    let standin = Server::spawn(standin, stderr, log, 2)?;
    let api = format!("https://localhost:{}/rp/v6.0", standin.port("https")?);
    let phone = format!("http://127.0.0.1:{}/", standin.port("http")?);
    run(Command::new(bin.join("python"))
        .arg(root().join("tests/conform/drive_standin.py"))
        .arg(&folder)
        .args([api, phone]))
}

/// What the TLS listener offers, and what it must not.
pub(crate) fn sslyze(_: &mut Tally) -> Result<()> {
    let bin = python::tool("sslyze", SSLYZE)?;
    let server = demo_server("sslyze")?;
    let report = root().join("target/suites/sslyze.json");
    // sslyze exits non-zero on a certificate that no public CA signed; the report is what counts.
    let address = format!("localhost:{}", server.port("https")?);
    let ran = run(Command::new(bin.join("sslyze"))
        .current_dir(root())
        .args([
            "--sslv2",
            "--sslv3",
            "--tlsv1",
            "--tlsv1_1",
            "--tlsv1_2",
            "--tlsv1_3",
        ])
        .args([
            "--heartbleed",
            "--openssl_ccs",
            "--robot",
            "--reneg",
            "--compression",
        ])
        .args([
            "--elliptic_curves",
            "--mozilla_config=disable",
            "--quiet",
            "--json_out",
        ])
        .arg(&report)
        .arg(address));
    let text = match fs::read_to_string(&report) {
        Ok(text) => text,
        Err(_) => return ran.and_then(|()| bail!("sslyze wrote no report")),
    };
    judge_sslyze(&serde_json::from_str(&text).context("the report")?)?;
    server.stop()
}

fn judge_sslyze(report: &Value) -> Result<()> {
    let result = report
        .pointer("/server_scan_results/0/scan_result")
        .context("the report has no result")?;
    let suites = |name: &str| {
        result
            .pointer(&format!("/{name}/result/accepted_cipher_suites"))
            .and_then(Value::as_array)
            .map(Vec::len)
            .with_context(|| format!("the report says nothing of {name}"))
    };
    for old in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
        if suites(&format!("{old}_cipher_suites"))? > 0 {
            bail!("the server accepts {old}");
        }
    }
    for current in ["tls_1_2", "tls_1_3"] {
        if suites(&format!("{current}_cipher_suites"))? == 0 {
            bail!("the server accepts no cipher of {current}");
        }
    }
    for weakness in [
        "/heartbleed/result/is_vulnerable_to_heartbleed",
        "/openssl_ccs_injection/result/is_vulnerable_to_ccs_injection",
        "/session_renegotiation/result/is_vulnerable_to_client_renegotiation_dos",
        "/tls_compression/result/supports_compression",
    ] {
        if result.pointer(weakness).and_then(Value::as_bool) != Some(false) {
            bail!("sslyze does not clear the server of {weakness}");
        }
    }
    let robot = result
        .pointer("/robot/result/robot_result")
        .and_then(Value::as_str)
        .unwrap_or("?");
    if !robot.starts_with("NOT_VULNERABLE") {
        bail!("ROBOT: {robot}");
    }
    println!("    TLS 1.2 and 1.3 only; no known weakness");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report in which every case is well but one.
    fn with(case: &str, behaviour: &str) -> Result<()> {
        let mut cases: serde_json::Map<String, Value> = (0..300)
            .map(|number| {
                (
                    format!("1.1.{number}"),
                    json!({"behavior": "OK", "behaviorClose": "OK"}),
                )
            })
            .collect();
        let one = json!({"behavior": behaviour, "behaviorClose": "OK"});
        cases.insert(case.to_owned(), one);
        judge_autobahn(&json!({ "vaxel": cases }))
    }

    #[test]
    fn only_compression_may_be_missing() {
        assert!(with("12.1.1", "UNIMPLEMENTED").is_ok());
        assert!(with("13.7.18", "UNIMPLEMENTED").is_ok());
        assert!(with("1.2.1", "UNIMPLEMENTED").is_err());
        assert!(with("12.1.1", "FAILED").is_err());
        assert!(with("6.4.1", "NON-STRICT").is_ok());
    }
}
