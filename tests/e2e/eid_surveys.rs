//! Surveys behind PIN and BankID, as people without script answer them.

use serde_json::{Value, json};
use vaxel_tests::bankid::Someone;
use vaxel_tests::blind::Wish;
use vaxel_tests::browser::{Browser, Page};
use vaxel_tests::scan;

use super::House;

fn colour() -> Value {
    json!([
        {"id": "why", "kind": "short_text", "label": {"sv": "Varför?"}},
        {"id": "colour", "kind": "single_choice", "required": true, "label": {"sv": "Vilken färg?"}, "options": [
            {"id": "red", "label": {"sv": "Röd"}}, {"id": "blue", "label": {"sv": "Blå"}},
        ]},
    ])
}

impl House {
    /// Somebody shows who they are with BankID, on a phone beside the browser. Answers where the browser goes on.
    async fn shows(&self, browser: &Browser, address: &str, someone: &Someone) -> Page {
        let begun = browser.chooses_at(address, "elsewhere").await;
        let order = begun.sent_to().to_owned();
        let code = browser.shows_code(&order).await;
        let reference = self.bankid.scans(&code).unwrap();
        self.bankid.approves(&reference, someone);
        browser.waits(&order).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_behind_bankid_is_answered_once_by_a_person() {
    let house = House::new().await;
    let settings = json!({"step_up": ["bankid"], "linkage": "confidential", "group_min": 1});
    let survey = house.anna.asks("Vården", colour(), settings).await;
    let asa = house.browser();
    let first = asa.get(&survey.address).await;
    assert!(first.text.contains("Show who you are") && first.text.contains("Vården"));
    assert!(
        !first.text.contains("Vilken färg?"),
        "nothing before it is shown"
    );
    // Whoever sends without having shown who they are has what they wrote, and nothing is taken.
    let unproven = [
        ("_token", &*first.token()),
        ("t.colour", "red"),
        ("_action", "send.1.0"),
    ];
    assert_eq!(asa.post(&survey.address, &unproven).await.status, 403);
    let done = house.shows(&asa, &survey.address, &Someone::asa()).await;
    assert_eq!(done.sent_to(), survey.address);
    let page = asa.get(&survey.address).await;
    assert!(page.text.contains("Vilken färg?"), "{}", page.text);
    assert!(page.text.contains("konfidentiellt"), "{}", page.text);
    // What is missing is said, and the proof is still there.
    let missing = asa.sends(&survey.address, &[("t.why", "för att")]).await;
    assert_eq!(missing.status, 422, "{}", missing.text);
    let sent = asa.sends(&survey.address, &[("t.colour", "red")]).await;
    assert_eq!(sent.sent_to(), format!("{}/thanks", survey.address));
    // The proof is spent.
    let again = asa.get(&survey.address).await;
    assert!(again.text.contains("Show who you are"), "{}", again.text);

    // The same person in another browser is the same person, and keeps what was typed; another one is another.
    let other = house.browser();
    house.shows(&other, &survey.address, &Someone::asa()).await;
    let filled = [("t.colour", "blue"), ("t.why", "en gång till")];
    let twice = other.sends(&survey.address, &filled).await;
    assert_eq!(twice.status, 422);
    assert!(twice.text.contains("Ett svar per person"), "{}", twice.text);
    assert!(twice.text.contains("en gång till"), "{}", twice.text);
    let bo = house.browser();
    house.shows(&bo, &survey.address, &Someone::bo()).await;
    let sent = bo.sends(&survey.address, &[("t.colour", "blue")]).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert_eq!(survey.counts("colour").await, json!({"red": 1, "blue": 1}));
    let log = house.host.log();
    for someone in [Someone::asa(), Someone::bo()] {
        assert!(!log.contains(&someone.personal_number));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_opens_the_personal_link_that_it_was_made_for_and_no_other() {
    let house = House::new().await;
    let settings =
        json!({"access": "link", "step_up": ["pin"], "linkage": "confidential", "group_min": 1});
    let survey = house.anna.asks("Pulsen", colour(), settings).await;
    let params =
        json!({"survey": survey.id, "recipients": ["eva@example.org", "nils@example.org"]});
    let invited = house.anna.surveys("invitations.create", params).await;
    let invited = invited.unwrap();
    let text = |at: usize, name: &str| invited["items"][at][name].as_str().unwrap().to_owned();
    let (evas, nils) = (text(0, "link"), text(1, "link"));
    let scope = format!("answer/{}/{}", survey.id, text(0, "id"));
    let params = json!({"plugin": "surveys", "scope": scope});
    let made = house.anna.client.call("stepup/make_pin", params).await;
    let pin = made.unwrap()["pin"].as_str().unwrap().to_owned();
    // For another link it is none; for its own it is, and what it proves is no proof for the other link.
    let browser = house.browser();
    assert_eq!(browser.types_at(&nils, &pin).await.status, 403);
    assert_eq!(browser.types_at(&evas, &pin).await.sent_to(), evas);
    assert!(browser.get(&evas).await.text.contains("Vilken färg?"));
    assert!(browser.get(&nils).await.text.contains("Show who you are"));
    let sent = browser.sends(&evas, &[("t.colour", "red")]).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert_eq!(survey.counts("colour").await, json!({"red": 1, "blue": 0}));
    let over = browser.get(&evas).await;
    assert!(over.text.contains("Du har redan svarat"), "{}", over.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_on_the_list_go_on_and_the_list_is_kept_as_hashes() {
    let house = House::new().await;
    let settings = json!({"step_up": ["bankid"], "linkage": "named", "group_min": 1});
    let survey = house.anna.asks("Styrelsen", colour(), settings).await;
    let purpose = format!("answer/{}", survey.id);
    let list = async |numbers: Value| {
        let params = json!({"plugin": "surveys", "purpose": purpose, "personal_numbers": numbers});
        house.anna.client.call("stepup/list_people", params).await
    };
    // What is no number is named by its place; what it says is nobody's business, in logs neither.
    let bad = list(json!([Someone::asa().personal_number, "199006292361"])).await;
    let bad = bad.unwrap_err();
    assert_eq!(bad.code(), "bad_personal_number");
    let said = format!("{bad:?}");
    assert!(
        said.contains("Number 2") && !said.contains("199006292361"),
        "{said}"
    );
    let listed = list(json!([Someone::asa().personal_number])).await.unwrap();
    assert_eq!(listed["people"], 1);
    assert_eq!(
        list(json!([Someone::asa().personal_number])).await.unwrap()["people"],
        1
    );
    let bo = house.browser();
    let refused = house.shows(&bo, &survey.address, &Someone::bo()).await;
    assert!(refused.text.contains("not on the list"), "{}", refused.text);
    assert!(
        bo.get(&survey.address)
            .await
            .text
            .contains("Show who you are")
    );
    let asa = house.browser();
    let asked = asa.get(&survey.address).await;
    assert!(asked.text.contains("Your name is kept"), "{}", asked.text);
    house.shows(&asa, &survey.address, &Someone::asa()).await;
    let sent = asa.sends(&survey.address, &[("t.colour", "red")]).await;
    assert_eq!(sent.status, 303, "{}", sent.text);

    // The plugin has a pseudonym; the host turns it into a name for those who may see it, and writes that down.
    survey.results().await;
    let answers = house
        .anna
        .surveys("answers", json!({"survey": survey.id}))
        .await;
    let answers = answers.unwrap();
    let who = answers["items"][0]["who"].as_str().unwrap().to_owned();
    assert!(!answers.to_string().contains(&Someone::asa().surname));
    let params = json!({"plugin": "surveys", "purpose": purpose, "pseudonyms": [who, "nobody"]});
    let names = house
        .anna
        .client
        .call("stepup/names", params.clone())
        .await
        .unwrap();
    let name = names["items"][0]["name"].as_str().unwrap();
    assert!(name.contains(&Someone::asa().surname), "{names}");
    assert!(names["items"][1].get("name").is_none(), "{names}");
    let bertil = house.host.sign_in("acme", "bertil").await;
    let refused = bertil
        .client
        .call("stepup/names", params)
        .await
        .unwrap_err();
    assert_eq!(refused.status(), 403);
    let audit = house
        .anna
        .client
        .call("audit/list", json!({}))
        .await
        .unwrap();
    assert!(audit.to_string().contains("stepup.names"), "{audit}");

    // Without the list bo goes on.
    let params = json!({"plugin": "surveys", "purpose": purpose});
    house
        .anna
        .client
        .call("stepup/unlist_people", params)
        .await
        .unwrap();
    let let_in = house.shows(&bo, &survey.address, &Someone::bo()).await;
    assert_eq!(let_in.sent_to(), survey.address);
    let log = house.host.log();
    house.host.stop();
    let (asa, bo) = (Someone::asa(), Someone::bo());
    let secrets = [&*asa.personal_number, &*asa.surname, &*bo.personal_number];
    assert_eq!(scan::occurrences(house.host.data(), &secrets), vec![]);
    assert!(secrets.iter().all(|secret| !log.contains(secret)));
}

impl House {
    /// What the page's script does once somebody has shown who they are: has a ticket signed unseen, and keeps it.
    async fn has_signed(&self, browser: &Browser, address: &str, wish: &Wish) -> Page {
        let page = browser.get(address).await;
        assert!(page.text.contains("id=\"ticket\""), "{}", page.text);
        assert!(
            !page.text.contains("Vilken färg?"),
            "nothing before the ticket is there"
        );
        let token = page.between("data-token=\"", "\"");
        let fields = [("_token", &*token), ("_step", "key")];
        let told = browser.post(address, &fields).await;
        let told: Value = serde_json::from_str(&told.text).unwrap();
        let key = wish.under(told["modulus"].as_str().unwrap());
        let fields = [
            ("_token", &*token),
            ("_step", "ticket"),
            ("_blinded", &*key.blinded()),
        ];
        let signed = browser.post(address, &fields).await;
        if signed.status == 200 {
            let told: Value = serde_json::from_str(&signed.text).unwrap();
            let ticket = key.opens(told["signature"].as_str().unwrap());
            let name = format!("__Host-vaxel_ticket_{}", page.between("data-tag=\"", "\""));
            browser.client.set_cookie(&name, &ticket);
        }
        signed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_answer_is_nobodys_in_the_log_and_in_the_store() {
    let house = House::new().await;
    let settings = json!({"step_up": ["bankid"], "linkage": "anonymous", "group_min": 1});
    let survey = house.anna.asks("Trivsel", colour(), settings).await;
    let asa = house.browser();
    let asked = asa.get(&survey.address).await;
    assert!(
        asked.text.contains("What you send is anonymous"),
        "{}",
        asked.text
    );
    house.shows(&asa, &survey.address, &Someone::asa()).await;
    // The proof itself is worth nothing to the plugin: only a ticket is.
    let page = asa.get(&survey.address).await;
    let (token, tag) = (
        page.between("data-token=\"", "\""),
        page.between("data-tag=\"", "\""),
    );
    let proof = asa
        .client
        .cookie(&format!("__Host-vaxel_proof_{tag}"))
        .unwrap();
    let thief = house.browser();
    thief
        .client
        .set_cookie(&format!("__Host-vaxel_proof_{tag}"), &proof);
    let fields = [
        ("_token", &*token),
        ("_proof", &*tag),
        ("t.colour", "red"),
        ("_action", "send.1.0"),
    ];
    assert_eq!(thief.post(&survey.address, &fields).await.status, 403);
    assert!(
        asa.get(&survey.address)
            .await
            .text
            .contains("Show who you are"),
        "and it is spent"
    );
    house.shows(&asa, &survey.address, &Someone::asa()).await;
    for bad in ["", "AAAA", "not base64!"] {
        let page = asa.get(&survey.address).await;
        let token = page.between("data-token=\"", "\"");
        let key = [("_token", &*token), ("_step", "key")];
        assert_eq!(asa.post(&survey.address, &key).await.status, 200);
        let fields = [("_token", &*token), ("_step", "ticket"), ("_blinded", bad)];
        let refused = asa.post(&survey.address, &fields).await;
        assert!(
            [400, 403].contains(&refused.status),
            "{bad}: {}",
            refused.text
        );
        if refused.status == 403 {
            house.shows(&asa, &survey.address, &Someone::asa()).await;
        }
    }
    let wish = Wish::new();
    let signed = house.has_signed(&asa, &survey.address, &wish).await;
    assert_eq!(signed.status, 200, "{}", signed.text);
    assert!(
        asa.client
            .cookie(&format!("__Host-vaxel_proof_{tag}"))
            .is_none()
    );
    let ticket = asa
        .client
        .cookie(&format!("__Host-vaxel_ticket_{tag}"))
        .unwrap();

    // Lost on its way: the same wish is signed again, another one is not.
    let again = house.browser();
    house.shows(&again, &survey.address, &Someone::asa()).await;
    assert_eq!(
        house
            .has_signed(&again, &survey.address, &wish)
            .await
            .status,
        200
    );
    assert_eq!(
        again
            .client
            .cookie(&format!("__Host-vaxel_ticket_{tag}"))
            .unwrap(),
        ticket
    );
    let greedy = house.browser();
    house.shows(&greedy, &survey.address, &Someone::asa()).await;
    let refused = house
        .has_signed(&greedy, &survey.address, &Wish::new())
        .await;
    assert_eq!(refused.status, 409);
    assert!(
        refused.text.contains("had a ticket before"),
        "{}",
        refused.text
    );
    // One that nobody signed opens nothing.
    let forger = house.browser();
    let (message, signature) = ticket.split_once('~').unwrap();
    let other = format!("{}A~{signature}", &message[..message.len() - 1]);
    forger
        .client
        .set_cookie(&format!("__Host-vaxel_ticket_{tag}"), &other);
    assert!(
        forger
            .get(&survey.address)
            .await
            .text
            .contains("Show who you are")
    );

    let word = "Guldfisksamlare";
    let filled = [("t.colour", "red"), ("t.why", word)];
    let sent = asa.sends(&survey.address, &filled).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert!(
        asa.client
            .cookie(&format!("__Host-vaxel_ticket_{tag}"))
            .is_none()
    );
    // Spent once, in however many browsers it is.
    let twice = again.get(&survey.address).await;
    assert!(twice.text.contains("Show who you are"), "{}", twice.text);
    let fields = [
        ("_token", &*twice.token()),
        ("_proof", &*tag),
        ("t.colour", "blue"),
        ("_action", "send.1.0"),
    ];
    let refused = again.post(&survey.address, &fields).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(
        refused.text.contains("Ett svar per person"),
        "{}",
        refused.text
    );
    let bo = house.browser();
    house.shows(&bo, &survey.address, &Someone::bo()).await;
    house.has_signed(&bo, &survey.address, &Wish::new()).await;
    assert_eq!(
        bo.sends(&survey.address, &[("t.colour", "blue")])
            .await
            .status,
        303
    );
    assert_eq!(survey.counts("colour").await, json!({"red": 1, "blue": 1}));
    let answers = house
        .anna
        .surveys("answers", json!({"survey": survey.id}))
        .await
        .unwrap();
    assert!(
        answers["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|each| each.get("who").is_none())
    );

    // What is on the disk and in the log: neither who they are, nor what was signed for whom, nor what was shown for it.
    survey.closes().await;
    let log = house.host.log();
    house.host.stop();
    let number = Someone::asa().personal_number;
    let mut secrets = vec![
        number.as_str(),
        "SVENSSON",
        word,
        ticket.as_str(),
        message,
        signature,
    ];
    let (proof, cookie) = proof.split_once('~').unwrap();
    let blinded = wish.blinded_before();
    secrets.extend([proof, cookie, blinded.as_str()]);
    assert_eq!(scan::occurrences(house.host.data(), &secrets), vec![]);
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}
