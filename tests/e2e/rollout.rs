//! Staged rollouts: a new version goes to some organizations first, and stops by itself where it does worse.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::block_in_place;
use vaxel_tests::packages::{Publisher, path, with_publisher};
use vaxel_tests::{Person, TestHost, patiently};

fn command(host: &TestHost, args: &[&str]) -> Value {
    let args = [&["plugin"], args, &["--json"]].concat();
    block_in_place(|| host.command(&args)).json()
}

fn installs(host: &TestHost, acme: &Publisher, version: &str, variant: &str) {
    let file = acme.variant(version, variant, |manifest| manifest);
    command(host, &["install", path(&file)]);
}

fn rollout(host: &TestHost, more: &[&str]) -> Value {
    command(host, &[&["rollout", "faulty"], more].concat())
}

fn version_of(host: &TestHost, tenant: &str) -> String {
    let shown = command(host, &["show", "faulty", "--tenant", tenant]);
    shown["version"].as_str().unwrap().to_owned()
}

async fn steady(person: &Person, n: u32) -> bool {
    let answer = person.client.call("plugins/faulty/steady", json!({"n": n}));
    answer.await.is_ok()
}

async fn mint(person: &Person, key: &str) -> Value {
    let answer = person
        .client
        .call("plugins/faulty/mint", json!({"key": key}));
    answer.await.unwrap()
}

/// Two organizations with 1.0.0 on, and 2.0.0 of that variant installed.
async fn two(variant: &str) -> (TestHost, Publisher, Person, Person) {
    let (host, acme) = with_publisher().await;
    let anna = host.sign_in("acme", "anna").await;
    let cecilia = host.tenant("globex", "cecilia").await;
    installs(&host, &acme, "1.0.0", "plain");
    for tenant in ["acme", "globex"] {
        command(&host, &["enable", "faulty", "--tenant", tenant]);
    }
    installs(&host, &acme, "2.0.0", variant);
    (host, acme, anna, cecilia)
}

async fn ends(host: &TestHost) -> Value {
    patiently("the rollout to end", async {
        loop {
            let status = rollout(host, &[]);
            if status["state"] != "running" {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_one_call_in_ten_stops_at_its_canary_while_the_old_one_serves_the_others()
 {
    let (host, _acme, anna, cecilia) = two("flaky").await;
    let began = rollout(&host, &["2.0.0", "--tenants", "acme"]);
    assert_eq!(
        (&began["state"], &began["running"]),
        (&json!("running"), &json!(1))
    );
    assert_eq!(version_of(&host, "acme"), "2.0.0");
    let mut failed = 0;
    for n in 0..20 {
        if n == 15 {
            // Too few to judge yet; what they showed counts on.
            block_in_place(|| host.restart());
        }
        failed += u32::from(!steady(&anna, n).await);
        assert!(steady(&cecilia, n).await, "the others have the old one");
    }
    assert_eq!(failed, 2);
    let status = ends(&host).await;
    assert_eq!(status["state"], "stopped", "{status}");
    assert_eq!(
        status["reason"],
        "2 of 20 calls failed; of the version before 0 of 20"
    );
    assert_eq!(
        (&status["new"]["failures"], &status["old"]["failures"]),
        (&json!(2), &json!(0))
    );
    patiently("the canary to be back", async {
        while version_of(&host, "acme") != "1.0.0" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(version_of(&host, "globex"), "1.0.0");
    assert!(steady(&anna, 3).await);
    assert!(host.log().contains("plugin.rollout_stopped"));
    // Nobody is offered it any more, and who reads the page learns why.
    let detail = anna.client.call("plugins/get", json!({"plugin": "faulty"}));
    let detail = detail.await.unwrap();
    assert!(detail["update"].is_null(), "{detail}");
    assert_eq!(detail["rollout"]["state"], "stopped");
    let audit = anna.client.call("audit/list", json!({})).await.unwrap();
    let entries = audit["items"].as_array().unwrap();
    let actions: Vec<_> = entries
        .iter()
        .filter_map(|e| e["action"].as_str())
        .collect();
    for action in ["plugins.rollout", "plugins.rollout_taken_back"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    let dave = host.tenant("initech", "dave").await;
    command(&host, &["enable", "faulty", "--tenant", "initech"]);
    assert_eq!(version_of(&host, "initech"), "1.0.0");
    assert!(steady(&dave, 3).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_takes_twice_the_processor_time_stops_at_its_canary() {
    let (host, _acme, anna, cecilia) = two("slow.").await;
    rollout(&host, &["2.0.0", "--tenants", "acme"]);
    for n in 0..55 {
        assert!(steady(&anna, n).await);
        assert!(n % 2 == 1 || steady(&cecilia, n).await);
    }
    let status = ends(&host).await;
    println!("{status}");
    assert_eq!(status["state"], "stopped", "{status}");
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("times the processor time"), "{reason}");
    assert_eq!(version_of(&host, "globex"), "1.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_as_well_goes_to_everybody_and_back_with_one_command() {
    let (host, acme, anna, cecilia) = two("plain").await;
    rollout(&host, &["2.0.0", "--tenants", "globex"]);
    assert_eq!(
        (version_of(&host, "acme"), version_of(&host, "globex")),
        ("1.0.0".into(), "2.0.0".into())
    );
    // An administrator who goes back is not brought again.
    command(&host, &["rollback", "faulty", "--tenant", "globex"]);
    let all = rollout(&host, &["2.0.0", "--all"]);
    assert_eq!(
        (&all["running"], &all["waiting"]),
        (&json!(1), &json!(1)),
        "{all}"
    );
    assert_eq!(
        (version_of(&host, "acme"), version_of(&host, "globex")),
        ("2.0.0".into(), "1.0.0".into())
    );
    for n in 0..50 {
        assert!(steady(&anna, n).await);
        assert!(n % 2 == 1 || steady(&cecilia, n).await);
    }
    let status = ends(&host).await;
    assert_eq!(status["state"], "done", "{status}");
    let versions = command(&host, &["versions", "faulty"]);
    let count = |version: &str| {
        let all = versions["versions"].as_array().unwrap().iter();
        let mut found = all.filter(|one| one["package"]["version"] == version);
        found.next().unwrap()["running"].clone()
    };
    assert_eq!((count("1.0.0"), count("2.0.0")), (json!(1), json!(1)));
    let back = command(&host, &["rollback", "faulty"]);
    assert_eq!(
        (&back["state"], &back["running"]),
        (&json!("withdrawn"), &json!(0))
    );
    assert_eq!(version_of(&host, "acme"), "1.0.0");

    // One that asks for more leaves those who would have to consent where they are.
    let file = acme.variant("3.0.0", "plain", |manifest| {
        manifest.replacen(
            "[[permissions]]",
            "[[capabilities]]\nname = \"blobs\"\nreason = \"for pictures\"\n\n[[permissions]]",
            1,
        )
    });
    command(&host, &["install", path(&file)]);
    let status = rollout(&host, &["3.0.0", "--percent", "100"]);
    assert_eq!(
        (&status["running"], &status["waiting"]),
        (&json!(0), &json!(2))
    );
    assert!(steady(&anna, 1).await);
    let unknown = ["plugin", "rollout", "faulty", "9.0.0", "--all"];
    assert!(!block_in_place(|| host.try_command(&unknown, "")).ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_run_keeps_nothing_and_says_where_answers_differ() {
    let (host, acme, anna, _cecilia) = two("plain").await;
    rollout(&host, &["2.0.0", "--tenants", "acme", "--shadow"]);
    assert_eq!(version_of(&host, "acme"), "1.0.0", "nobody is moved");
    for n in 0..10 {
        let minted = mint(&anna, &format!("secret-{n}")).await;
        assert_eq!(minted["count"], n + 1, "the shadow counted along");
    }
    let runs = rollout(&host, &[])["shadow_runs"].clone();
    println!("{runs}");
    assert!(runs["compared"].as_u64().unwrap() >= 8, "{runs}");
    assert_eq!(
        (&runs["differing"], &runs["faults"]),
        (&json!(0), &json!(0)),
        "{runs}"
    );

    // Another one answers otherwise, and would write what the old one does not.
    installs(&host, &acme, "2.1.0", "other");
    rollout(&host, &["2.1.0", "--tenants", "acme", "--shadow"]);
    for n in 0..10 {
        let minted = mint(&anna, &format!("secret-{n}")).await;
        assert_eq!(
            (&minted["count"], &minted["note"]),
            (&json!(n + 11), &Value::Null)
        );
    }
    let status = rollout(&host, &[]);
    let runs = &status["shadow_runs"];
    let compared = runs["compared"].as_u64().unwrap();
    assert!(compared >= 8, "{runs}");
    assert_eq!(runs["differing"], compared);
    assert_eq!(runs["places"], json!({"$.note": compared}));
    assert!(!status.to_string().contains("secret"), "{status}");
    let left = anna
        .client
        .call("plugins/faulty/read", json!({"key": "left-by-other"}));
    assert_eq!(left.await.unwrap()["value"], 0);

    // One that traps is seen, and nobody else notices.
    installs(&host, &acme, "2.2.0", "flaky");
    rollout(&host, &["2.2.0", "--tenants", "acme", "--shadow"]);
    for _ in 0..10 {
        assert!(steady(&anna, 3).await);
    }
    let runs = rollout(&host, &[])["shadow_runs"].clone();
    assert!(runs["faults"].as_u64().unwrap() >= 5, "{runs}");
    assert_eq!(rollout(&host, &[])["state"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_percentage_is_always_the_same_ones_and_a_kill_in_the_middle_goes_on_where_it_was() {
    let (host, _acme, _anna, _cecilia) = two("plain").await;
    let mut tenants = vec!["acme".to_owned(), "globex".to_owned()];
    for n in 0..8 {
        let slug = format!("org{n}");
        let address = format!("{slug}.localhost");
        let add = ["tenant", "add", &slug, "--name", &slug, "--host", &address];
        block_in_place(|| host.command(&add));
        command(&host, &["enable", "faulty", "--tenant", &slug]);
        command(&host, &["upgrade", "faulty", "1.0.0", "--tenant", &slug]);
        tenants.push(slug);
    }
    let chosen = || -> Vec<&String> {
        let has = |tenant: &&String| version_of(&host, tenant) == "2.0.0";
        tenants.iter().filter(has).collect()
    };
    rollout(&host, &["2.0.0", "--percent", "30"]);
    let some = chosen();
    block_in_place(|| host.restart());
    assert_eq!(chosen(), some, "the same ones, whatever happens meanwhile");
    rollout(&host, &["2.0.0", "--percent", "70"]);
    let more = chosen();
    assert!(
        some.iter().all(|tenant| more.contains(tenant)),
        "{some:?} {more:?}"
    );
    command(&host, &["rollback", "faulty"]);
    assert!(chosen().is_empty());
    rollout(&host, &["2.0.0", "--percent", "70"]);
    assert_eq!(chosen(), more);
    println!("{} and {} of {}", some.len(), more.len(), tenants.len());
    let mut interrupted = 0;
    for round in 0..6_u64 {
        let (args, goal): (&[&str], _) = if round % 2 == 0 {
            (&["plugin", "rollout", "faulty", "2.0.0", "--all"], "2.0.0")
        } else {
            (&["plugin", "rollback", "faulty"], "1.0.0")
        };
        let mut running = Command::new(host.vaxel().path())
            .args(args)
            .args(["--data", path(host.data())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(15 + round * 7)).await;
        block_in_place(|| host.kill9());
        running.wait().unwrap();
        block_in_place(|| host.serve());
        let before = command(&host, &["versions", "faulty"]);
        interrupted += usize::from(
            before["versions"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|one| one["running"] != 0)
                .count()
                > 1,
        );
        // If it had not even begun, nothing has changed, and it is asked for again.
        if let Some(began) = running_towards(&host, goal) {
            assert_eq!(began, goal);
        } else {
            block_in_place(|| host.command(args));
        }
        patiently("everybody to have the same version", async {
            while !tenants
                .iter()
                .all(|tenant| version_of(&host, tenant) == goal)
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
    }
    println!("{interrupted} of 6 were interrupted half-way");
}

/// Where the rollout that is written down leads, if it is the one that was asked for last.
fn running_towards(host: &TestHost, goal: &str) -> Option<String> {
    let answer =
        block_in_place(|| host.try_command(&["plugin", "rollout", "faulty", "--json"], ""));
    if !answer.ok {
        return None;
    }
    let towards = match answer.json()["state"].as_str().unwrap() {
        "running" | "done" => "2.0.0",
        _ => "1.0.0",
    };
    (towards == goal).then(|| towards.to_owned())
}
