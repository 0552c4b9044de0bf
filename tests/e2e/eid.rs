//! Step-up on the host's own pages: PIN and BankID, good and bad, against a stand-in that speaks mutual TLS and signs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

mod eid_surveys;

use std::path::Path;

use http::Method;
use serde_json::{Value, json};
use tokio::task::block_in_place;
use vaxel_tests::bankid::{BankId, Forgery, Health, Someone};
use vaxel_tests::browser::Browser;
use vaxel_tests::{HostOptions, Person, SMALL_LOG, TestHost, patiently, scan};

/// How a phone's browser names itself.
const PHONE: &str = "Mozilla/5.0 (Linux; Android 14) Mobile";

/// A server that knows the stand-in, with the plugin `paged` switched on for acme, which has a certificate.
struct House {
    host: TestHost,
    anna: Person,
    bankid: BankId,
    _roots: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(eid: &str) -> Self {
        let bankid = BankId::start().await;
        let folder = tempfile::tempdir().unwrap();
        let (api, people) = (
            folder.path().join("api.pem"),
            folder.path().join("people.pem"),
        );
        std::fs::write(&api, bankid.authorities().api_root()).unwrap();
        std::fs::write(&people, bankid.authorities().people_root()).unwrap();
        let config = format!(
            "{SMALL_LOG}\n[eid]\n{eid}\n[eid.bankid]\nurl = '{}'\napi_root = '{}'\nsignature_root = '{}'\n",
            bankid.url(),
            api.display(),
            people.display(),
        );
        let host = TestHost::start_with(HostOptions {
            config,
            ..HostOptions::default()
        })
        .await;
        block_in_place(|| {
            host.stop();
            host.serve_with(&["--dev"], &[]);
            let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stage/fixtures/paged");
            let file = host.scratch("paged.vxp");
            let (fixture, file) = (fixture.to_str().unwrap(), file.to_str().unwrap());
            host.vaxel()
                .expect(&["plugin", "pack", fixture, "-o", file], "");
            host.command(&["plugin", "install", file]);
            host.command(&["plugin", "enable", "--tenant", "acme", "paged"]);
        });
        let anna = host.sign_in("acme", "anna").await;
        let house = Self {
            host,
            anna,
            bankid,
            _roots: folder,
        };
        house.is_known_for(365).await;
        house
    }

    /// Acme gets a certificate for so many days.
    async fn is_known_for(&self, days: u64) -> Value {
        let party = self.bankid.authorities().party("Acme AB", days);
        let params = json!({"certificate": party.certificate, "key": party.key});
        self.anna
            .client
            .call("stepup/set_bankid", params)
            .await
            .unwrap()
    }

    fn browser(&self) -> Browser {
        Browser {
            client: self.host.client("acme"),
            agent: "Mozilla/5.0 (X11; Linux x86_64)",
        }
    }

    fn phone(&self) -> Browser {
        Browser {
            client: self.host.client("acme"),
            agent: PHONE,
        }
    }

    /// What the plugin was told.
    async fn proven(&self) -> Vec<Value> {
        let told = self
            .anna
            .client
            .call("plugins/paged/proven", json!({}))
            .await;
        told.unwrap()["items"].as_array().unwrap().clone()
    }

    async fn pin(&self, scope: &str) -> String {
        let params = json!({"plugin": "paged", "scope": scope});
        let made = self.anna.client.call("stepup/make_pin", params).await;
        made.unwrap()["pin"].as_str().unwrap().to_owned()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.host.log_tail());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bankid_by_code_opens_the_page_once_and_the_plugin_learns_a_pseudonym() {
    let house = House::new().await;
    let browser = house.browser();
    let order = browser.begins("eid-1", "elsewhere").await;
    let code = browser.shows_code(&order).await;
    let reference = house.bankid.scans(&code).unwrap();
    let reads = house.bankid.reads(&reference);
    assert!(reads.contains("acme") || reads.contains("Acme"), "{reads}");
    assert!(reads.contains("How was the visit?"), "{reads}");
    house.bankid.approves(&reference, &Someone::asa());
    let done = browser.waits(&order).await;
    assert_eq!(done.sent_to(), "/p/paged/guarded/eid-1");
    let sent = browser.answers("eid-1", "well").await;
    assert_eq!(sent.sent_to(), "/p/paged/guarded/thanks");
    let proven = house.proven().await;
    assert_eq!(
        (&proven[0]["method"], &proven[0]["answer"]),
        (&json!("bankid"), &json!("well"))
    );
    let pseudonym = proven[0]["pseudonym"].as_str().unwrap().to_owned();
    assert_eq!(pseudonym.len(), 43);
    // The proof is spent: the page asks again.
    let again = browser.get("/p/paged/guarded/eid-1").await;
    assert!(again.text.contains("Show who you are"), "{}", again.text);

    // The same person is the same one for this purpose, another one for another; somebody else is somebody else.
    for (purpose, someone, answer) in [
        ("eid-1", Someone::asa(), "again"),
        ("eid-2", Someone::asa(), "elsewhere"),
        ("eid-1", Someone::bo(), "other"),
    ] {
        let browser = house.browser();
        let order = browser.begins(purpose, "elsewhere").await;
        let reference = house
            .bankid
            .scans(&browser.shows_code(&order).await)
            .unwrap();
        house.bankid.approves(&reference, &someone);
        browser.waits(&order).await;
        assert_eq!(browser.answers(purpose, answer).await.status, 303);
    }
    let proven = house.proven().await;
    let names: Vec<_> = proven
        .iter()
        .map(|one| one["pseudonym"].as_str().unwrap())
        .collect();
    assert_eq!(names[1], pseudonym);
    assert!(names[2] != pseudonym && names[3] != pseudonym && names[2] != names[3]);

    // What the API was asked, and what nobody finds afterwards.
    let asked = house.bankid.asked(&reference);
    assert_eq!(asked["endUserIp"], "127.0.0.1");
    assert!(asked.get("requirement").is_none() && asked.get("returnUrl").is_none());
    let log = house.host.log();
    for secret in [
        Someone::asa().personal_number.as_str(),
        "SVENSSON",
        pseudonym.as_str(),
    ] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_same_device_only_the_browser_that_the_app_sent_back_goes_on() {
    let house = House::new().await;
    let phone = house.phone();
    let order = phone.begins("eid-1", "here").await;
    let page = phone.get(&order).await;
    let (_, rest) = page
        .text
        .split_once("href=\"https://app.bankid.com/")
        .unwrap();
    let start = format!("https://app.bankid.com/{}", rest.split_once('"').unwrap().0);
    let start = start.replace("&amp;", "&");
    assert!(!page.text.contains("id=\"code\""), "nothing to scan");
    let reference = house.bankid.opens_here(&start).unwrap();
    let back = house.bankid.asked(&reference)["returnUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    let back = back.split_once("/stepup/").unwrap().1;
    let back = format!("/stepup/{back}");
    house.bankid.approves(&reference, &Someone::asa());
    // Approved, and not sent back by the app: somebody may have been talked into it on their own phone.
    let waiting = phone.waits(&order).await;
    assert!(
        waiting.text.contains("did not open this browser again"),
        "{}",
        waiting.text
    );
    // Another browser with the address from the app gets nothing, and neither does a guessed nonce.
    assert_eq!(house.phone().get(&back).await.status, 404);
    let guessed = format!("{order}/back?nonce={}", "A".repeat(43));
    assert_eq!(phone.get(&guessed).await.status, 404);
    let returned = phone.get(&back).await;
    assert_eq!(returned.sent_to(), order);
    assert_eq!(phone.get(&order).await.sent_to(), "/p/paged/guarded/eid-1");
    assert_eq!(phone.answers("eid-1", "well").await.status, 303);
    assert_eq!(house.proven().await.len(), 1);
    // Once only.
    assert_eq!(phone.get(&order).await.status, 404);
    assert_eq!(phone.get(&back).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_its_own_browsers_and_nobody_elses() {
    let house = House::new().await;
    let (one, other) = (house.browser(), house.browser());
    let mine = one.begins("eid-1", "elsewhere").await;
    let theirs = other.begins("eid-1", "elsewhere").await;
    let reference = house.bankid.scans(&one.shows_code(&mine).await).unwrap();
    house.bankid.approves(&reference, &Someone::asa());
    // Swapped: everything at the other's order is not there, with or without a cookie.
    for path in ["", "/now", "/code.svg"] {
        let page = other.get(&format!("{mine}{path}")).await;
        assert!(page.location.is_none(), "{path}");
        if path == "/now" {
            assert_eq!(page.text, "{\"ended\":true}");
        } else {
            assert_eq!(page.status, 404, "{path}");
        }
    }
    assert_eq!(other.post(&mine, &[]).await.status, 404, "nor called off");
    // A cookie that was planted before does not bind what is begun after.
    let planted = "A".repeat(43);
    let victim = house.browser();
    victim.client.set_cookie("__Host-vaxel_stepup", &planted);
    let order = victim.begins("eid-1", "elsewhere").await;
    assert_ne!(
        victim.client.cookie("__Host-vaxel_stepup").unwrap(),
        planted
    );
    let attacker = house.browser();
    attacker.client.set_cookie("__Host-vaxel_stepup", &planted);
    assert_eq!(attacker.get(&order).await.status, 404);
    // From another site nothing begins and nothing is called off.
    let evil = Some("https://evil.example");
    let body = "_step=elsewhere&_token=x".to_owned();
    let foreign = other
        .send(Method::POST, "/p/paged/guarded/eid-1", body, evil)
        .await;
    assert_eq!(foreign.status, 403);
    let foreign = other.send(Method::POST, &theirs, String::new(), evil).await;
    assert_eq!(foreign.status, 403);
    assert!(other.get(&theirs).await.text.contains("id=\"order\""));
    // A form of another page, or none of ours, begins nothing.
    let asked = other.get("/p/paged/guarded/eid-2").await;
    let fields = [("_token", &*asked.token()), ("_step", "elsewhere")];
    assert_eq!(
        other.post("/p/paged/guarded/eid-1", &fields).await.status,
        409
    );
    // The one who began it goes on.
    assert_eq!(one.waits(&mine).await.sent_to(), "/p/paged/guarded/eid-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_badly_is_said_in_the_recommended_words_and_can_be_tried_again() {
    let house = House::new().await;
    for (hint, words) in [
        ("userCancel", "Action cancelled."),
        ("cancelled", "Please try again."),
        ("expiredTransaction", "The BankID app is not responding."),
        ("startFailed", "Failed to scan the QR code."),
        ("certificateErr", "blocked or too old"),
        ("transactionRiskBlocked", "stopped the identification"),
        ("somethingOfNextYear", "Something went wrong."),
    ] {
        let browser = house.browser();
        let order = browser.begins("eid-1", "elsewhere").await;
        let reference = house
            .bankid
            .scans(&browser.shows_code(&order).await)
            .unwrap();
        house.bankid.fails(&reference, hint);
        let ended = browser.waits(&order).await;
        assert!(ended.text.contains(words), "{hint}: {}", ended.text);
        assert!(
            ended.text.contains("href=\"/p/paged/guarded/eid-1\""),
            "{hint}"
        );
        // What comes after the end changes nothing.
        house.bankid.approves(&reference, &Someone::asa());
        assert!(browser.get(&order).await.location.is_none(), "{hint}");
    }
    // While it goes on, new words and unknown ones.
    let browser = house.browser();
    let order = browser.begins("eid-1", "elsewhere").await;
    let reference = house
        .bankid
        .scans(&browser.shows_code(&order).await)
        .unwrap();
    for (hint, words) in [
        ("userMrtd", "scan, your ID document"),
        ("newStep", "in progress"),
    ] {
        house.bankid.hints(&reference, hint);
        patiently(hint, async {
            while !browser
                .get(&format!("{order}/now"))
                .await
                .text
                .contains(words)
            {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        })
        .await;
    }
    // Called off by the person in the browser: BankID is told.
    let called_off = browser.post(&order, &[]).await;
    assert_eq!(called_off.sent_to(), "/p/paged/guarded/eid-1");
    assert!(house.bankid.is_over(&reference));
    assert_eq!(browser.get(&order).await.status, 404);
    assert!(house.proven().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_does_not_hold_is_none() {
    let house = House::new().await;
    for forgery in [
        Forgery::ChangedData,
        Forgery::OtherKey,
        Forgery::OtherRoot,
        Forgery::Revoked,
        Forgery::OtherNonce,
        Forgery::NoResponder,
        Forgery::OtherResponder,
        Forgery::OtherText,
        Forgery::OtherPerson,
    ] {
        house.bankid.forges(Some(forgery));
        let browser = house.browser();
        let order = browser.begins("eid-1", "elsewhere").await;
        let reference = house
            .bankid
            .scans(&browser.shows_code(&order).await)
            .unwrap();
        house.bankid.approves(&reference, &Someone::asa());
        let ended = browser.waits(&order).await;
        assert!(
            ended.text.contains("Something went wrong."),
            "{forgery:?}: {}",
            ended.text
        );
        assert!(browser.get(&order).await.location.is_none(), "{forgery:?}");
    }
    let log = house.host.log();
    for why in [
        "a digest does not fit",
        "the signature does not fit the certificate",
        "does not lead to the root",
        "the certificate was revoked",
        "the nonce is another signature's",
        "its signer is no responder under the root",
        "its signer is another authority's responder",
        "what was signed is not what was shown",
        "another person signed",
    ] {
        assert!(log.contains(why), "{why}\n{}", house.host.log_tail());
    }
    let audit = house
        .anna
        .client
        .call("audit/list", json!({}))
        .await
        .unwrap();
    assert!(audit.to_string().contains("stepup.eid"), "{audit}");
    assert!(house.proven().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_is_said_at_once_and_an_order_outlives_a_short_fault() {
    let house = House::new().await;
    let browser = house.browser();
    let order = browser.begins("eid-1", "elsewhere").await;
    let reference = house
        .bankid
        .scans(&browser.shows_code(&order).await)
        .unwrap();
    house.bankid.is(Health::Down);
    let down = house.browser();
    for _ in 0..4 {
        let refused = down.chooses("eid-1", "elsewhere").await;
        assert_eq!(refused.status, 503);
        assert!(
            refused.text.contains("Internal error. Please try again."),
            "{}",
            refused.text
        );
        assert!(
            refused.text.contains("value=\"elsewhere\""),
            "and can be tried again"
        );
    }
    let calls = house.bankid.calls().len();
    assert_eq!(down.chooses("eid-1", "elsewhere").await.status, 503);
    assert_eq!(house.bankid.calls().len(), calls, "the circuit is open");
    // Up again: the order that was under way goes on.
    house.bankid.is(Health::Well);
    house.bankid.approves(&reference, &Someone::asa());
    assert_eq!(
        browser.waits(&order).await.sent_to(),
        "/p/paged/guarded/eid-1"
    );
    assert_eq!(browser.answers("eid-1", "well").await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_never_answers_holds_nobody_up_for_long() {
    let house = House::new().await;
    house.bankid.is(Health::Slow);
    let refused = house.browser().chooses("eid-1", "elsewhere").await;
    assert_eq!(refused.status, 503);
    // Pages that need no BankID are served meanwhile.
    assert_eq!(house.browser().get("/p/paged/survey").await.status, 200);
    house.bankid.is(Health::Well);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_a_pin_ends_whoever_guesses_and_a_proof_is_spent_once() {
    let house = House::new().await;
    let pin = house.pin("pin-1").await;
    let right = house.browser();
    let done = right
        .types("pin-1", &format!("{} {}", &pin[..3], &pin[3..]))
        .await;
    assert_eq!(done.sent_to(), "/p/paged/guarded/pin-1");
    // Sent as typed wrong: the page again, and the proof still there.
    let page = right.answers("pin-1", "").await;
    assert_eq!(page.status, 422);
    assert!(page.text.contains("Write something."), "{}", page.text);
    // The cookie is the proof's, and a copy of it after it was spent opens nothing.
    let path = "/p/paged/guarded/pin-1";
    let page = right.get(path).await;
    let tag = page.hidden("_proof").unwrap();
    let name = format!("__Host-vaxel_proof_{tag}");
    let copy = right.client.cookie(&name).unwrap();
    assert_eq!(right.answers("pin-1", "well").await.status, 303);
    let thief = house.browser();
    thief.client.set_cookie(&name, &copy);
    let asked = thief.get(path).await;
    assert!(asked.text.contains("Show who you are"), "{}", asked.text);
    let fields = [
        ("_token", &*page.token()),
        ("_proof", &tag),
        ("t.answer", "replayed"),
        ("_action", "send"),
    ];
    let replayed = thief.post(path, &fields).await;
    assert_eq!(replayed.status, 403);
    assert!(
        replayed.text.contains("replayed"),
        "what was typed is not lost"
    );
    assert!(
        !replayed.text.contains("Only for those"),
        "and the page is not shown"
    );
    // A proof for one purpose is none for another.
    let other = house.browser();
    let pin = house.pin("pin-2").await;
    assert_eq!(other.types("pin-2", &pin).await.status, 303);
    assert!(other.get(path).await.text.contains("Show who you are"));

    // Guesses count for the PIN, from however many browsers and addresses they come.
    let pin = house.pin("pin-3").await;
    let wrong = if pin == "000000" { "000001" } else { "000000" };
    for left in (0..5).rev() {
        let refused = house.browser().types("pin-3", wrong).await;
        assert_eq!(refused.status, 403);
        let words = format!("Attempts before a pause: {left}.");
        assert!(refused.text.contains(&words), "{words}: {}", refused.text);
    }
    let paused = house.browser().types("pin-3", &pin).await;
    assert!(paused.text.contains("Wait 15 minutes"), "{}", paused.text);
    assert!(paused.location.is_none(), "the right one too");
    assert_eq!(house.proven().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_alone_and_a_bankid_alone_are_not_offered_for_each_other() {
    let house = House::new().await;
    let browser = house.browser();
    let pin_only = browser.get("/p/paged/guarded/pin-1").await;
    assert!(pin_only.text.contains("_pin") && !pin_only.text.contains("BankID"));
    let eid_only = browser.get("/p/paged/guarded/eid-1").await;
    assert!(!eid_only.text.contains("_pin") && eid_only.text.contains("BankID"));
    let both = browser.get("/p/paged/guarded/both-1").await;
    assert!(both.text.contains("_pin") && both.text.contains("BankID"));
    let pin = house.pin("eid-1").await;
    assert_eq!(browser.types("eid-1", &pin).await.status, 400);
    assert_eq!(browser.chooses("pin-1", "elsewhere").await.status, 400);
    // In the app, too, the page is shown to nobody who has not shown who they are.
    let params = json!({"plugin": "paged", "page": "guarded", "path": "pin-1"});
    let refused = house.anna.client.call("plugins/show_page", params).await;
    assert_eq!(refused.unwrap_err().code(), "step_up_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_kept_and_never_shown_and_its_end_is_told() {
    let house = House::new().await;
    let state = house
        .anna
        .client
        .call("stepup/bankid", json!({}))
        .await
        .unwrap();
    assert_eq!(state["certificate"]["name"], "Acme AB");
    assert_eq!(state["configured"], true);
    assert!(!state.to_string().contains("PRIVATE"), "{state}");
    // What is none, or two that do not fit, is refused and changes nothing.
    let (one, two) = (
        house.bankid.authorities().party("One", 9),
        house.bankid.authorities().party("Two", 9),
    );
    for (certificate, key) in [
        ("x", one.key.as_str()),
        (one.certificate.as_str(), "x"),
        (one.certificate.as_str(), two.key.as_str()),
        (one.key.as_str(), one.certificate.as_str()),
    ] {
        let params = json!({"certificate": certificate, "key": key});
        let refused = house.anna.client.call("stepup/set_bankid", params).await;
        let refused = refused.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (422, "bad_certificate"));
    }
    let kept = house
        .anna
        .client
        .call("stepup/bankid", json!({}))
        .await
        .unwrap();
    assert_eq!(kept["certificate"]["name"], "Acme AB");
    // One that ends soon is told at the next look, which every start takes.
    let params = json!({"certificate": one.certificate, "key": one.key});
    house
        .anna
        .client
        .call("stepup/set_bankid", params)
        .await
        .unwrap();
    let secrets = [one.key.lines().nth(1).unwrap(), "PRIVATE KEY"];
    assert_eq!(
        scan::occurrences(&house.host.data().join("store"), &secrets),
        []
    );
    block_in_place(|| {
        house.host.stop();
        house.host.serve_with(&["--dev"], &[]);
    });
    patiently("the alarm", async {
        while !house
            .host
            .log()
            .contains("the BankID certificate of acme ends in 8 days")
        {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
    // Without one, nothing is offered.
    let anna = house.host.sign_in("acme", "anna").await;
    anna.client
        .call("stepup/remove_bankid", json!({}))
        .await
        .unwrap();
    let page = house.browser().get("/p/paged/guarded/eid-1").await;
    assert!(
        page.text.contains("not possible to show who you are"),
        "{}",
        page.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_purpose_knows_nobody_ever_again() {
    let house = House::new().await;
    let close = |purpose: &str| {
        let params = json!({"plugin": "paged", "purpose": purpose});
        house.anna.client.call("stepup/close", params)
    };
    let goes_on = async |purpose: &str| {
        let browser = house.browser();
        let order = browser.begins(purpose, "elsewhere").await;
        let reference = house
            .bankid
            .scans(&browser.shows_code(&order).await)
            .unwrap();
        house.bankid.approves(&reference, &Someone::asa());
        browser.waits(&order).await.status == 303
    };
    assert!(goes_on("eid-1").await);
    close("eid-1").await.unwrap();
    close("eid-1").await.unwrap();
    close("eid-2").await.unwrap();
    assert!(!goes_on("eid-1").await, "closed");
    assert!(!goes_on("eid-2").await, "closed before anybody came");
    assert!(goes_on("eid-3").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_has_so_many_orders() {
    let house = House::with("orders_per_day = 2").await;
    let browser = house.browser();
    for _ in 0..2 {
        browser.begins("eid-1", "elsewhere").await;
    }
    let refused = browser.chooses("eid-1", "elsewhere").await;
    assert_eq!(refused.status, 429);
    assert!(
        refused.text.contains("No more identifications"),
        "{}",
        refused.text
    );
    let calls = house.bankid.calls();
    assert_eq!(calls.iter().filter(|(path, _)| path == "auth").count(), 2);
}
