//! Names, files and pauses without a directory; tests/e2e/acme.rs has a real one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};
use rustls::sign::CertifiedKey;
use vaxel_core::{SimClock, UnixMs};

use super::*;
use crate::certificate::Usable;
use crate::local_ca::date;

const DAY_MS: u64 = 86_400_000;
const START: UnixMs = UnixMs(1_790_000_000_000);

struct House {
    dir: tempfile::TempDir,
    clock: Arc<SimClock>,
    directory: String,
}

impl House {
    /// With a directory at an address where nobody listens.
    fn new() -> Self {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = nobody.local_addr().unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(SimClock::at(START)),
            directory: format!("https://{address}/dir"),
        }
    }

    fn open(&self, names: &[&str]) -> Acme {
        let config = AcmeConfig {
            directory: self.directory.clone(),
            contact: None,
            ca: None,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Acme::open(self.dir.path(), config, &set(names), provider, clock).unwrap()
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn issued(name: &str, days: u64) -> Issued {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date(START);
    params.not_after = date(START.plus_ms(days * DAY_MS));
    Issued {
        chain_pem: params.self_signed(&key).unwrap().pem(),
        key_pem: key.serialize_pem(),
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<(AlarmLevel, &'static str, String)>>);

impl Alarms for Heard {
    fn raise(&self, level: AlarmLevel, code: &'static str, detail: &str) {
        let mut heard = self.0.lock().unwrap();
        heard.push((level, code, detail.to_owned()));
    }
}

impl Heard {
    fn take(&self) -> Vec<(AlarmLevel, &'static str, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn shown(acme: &Acme, name: &str) -> Shown {
    acme.shown.names.load().get(name).unwrap().clone()
}

fn same(one: &CertifiedKey, other: &CertifiedKey) -> bool {
    one.cert == other.cert
}

#[test]
fn each_name_gets_its_own_certificate_and_nobody_elses_name_gets_any() {
    let house = House::new();
    let acme = house.open(&["localhost", "127.0.0.1", "a.example", "b.example"]);
    let a = acme.shown.choose(Some("a.example"), false).unwrap();
    let b = acme.shown.choose(Some("b.example"), false).unwrap();
    assert!(!same(&a, &b));
    assert!(shown(&acme, "a.example").usable.names("a.example"));
    assert!(!shown(&acme, "a.example").usable.names("b.example"));
    assert!(acme.shown.choose(Some("c.example"), false).is_none());
    // Who asks for no name, or comes by address, learns no tenant's name.
    let own = acme.shown.choose(None, false).unwrap();
    assert!(!same(&own, &a));
    let own = Usable {
        key: own,
        ..shown(&acme, "a.example").usable
    };
    assert!(own.names("127.0.0.1") && own.names("localhost"));
    assert!(!own.names("a.example"));
}

#[test]
fn a_validator_is_shown_the_standing_challenge_and_nothing_else() {
    let house = House::new();
    let acme = house.open(&["a.example"]);
    assert!(acme.shown.choose(Some("a.example"), true).is_none());
    assert!(acme.shown.choose(None, true).is_none());
    let made = challenge::certificate(&acme.provider, "a.example", &[3; 32], START).unwrap();
    let standing = acme.shown.challenges.show("a.example", Arc::clone(&made));
    let answer = acme.shown.choose(Some("a.example"), true).unwrap();
    assert!(same(&answer, &made));
    let visitor = acme.shown.choose(Some("a.example"), false).unwrap();
    assert!(!same(&visitor, &made));
    drop(standing);
    assert!(acme.shown.choose(Some("a.example"), true).is_none());
}

#[test]
fn what_was_issued_is_kept_for_the_owner_only_and_shown_after_a_restart() {
    let house = House::new();
    let acme = house.open(&["a.example"]);
    acme.take("a.example", &issued("a.example", 90)).unwrap();
    let before = shown(&acme, "a.example");
    assert!(before.ordered);
    drop(acme);
    let folder = fs::read_dir(house.dir.path().join("acme")).unwrap();
    let folder = folder.flatten().next().unwrap().path();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("a.example.pem")), 0o600);
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        1,
        "nothing is left half written"
    );

    let after = shown(&house.open(&["a.example"]), "a.example");
    assert!(after.ordered);
    assert!(same(&before.usable.key, &after.usable.key));

    // Once others could read its key, it is not used again.
    let open_to_all = fs::Permissions::from_mode(0o644);
    fs::set_permissions(folder.join("a.example.pem"), open_to_all).unwrap();
    assert!(!shown(&house.open(&["a.example"]), "a.example").ordered);
}

#[test]
fn an_answer_that_does_not_fit_leaves_what_was_there() {
    let house = House::new();
    let acme = house.open(&["a.example"]);
    acme.take("a.example", &issued("a.example", 90)).unwrap();
    let before = shown(&acme, "a.example");
    let foreign = Issued {
        key_pem: issued("a.example", 90).key_pem,
        ..issued("a.example", 90)
    };
    let empty = Issued {
        chain_pem: String::new(),
        ..issued("a.example", 90)
    };
    for wrong in [issued("b.example", 90), foreign, empty] {
        assert!(acme.take("a.example", &wrong).is_err());
    }
    let kept = shown(&house.open(&["a.example"]), "a.example");
    for now in [shown(&acme, "a.example"), kept] {
        assert!(same(&before.usable.key, &now.usable.key));
    }
    let outside = acme
        .store
        .save(&acme.provider, "../b", &issued("b.example", 90));
    assert!(matches!(outside, Err(TlsError::Name)));
}

#[test]
fn new_names_are_shown_at_once_and_lost_ones_no_more() {
    let house = House::new();
    let acme = house.open(&["a.example"]);
    acme.take("a.example", &issued("a.example", 90)).unwrap();
    let before = shown(&acme, "a.example");
    assert!(!acme.set_names(&set(&["a.example"])).unwrap());
    assert!(acme.set_names(&set(&["a.example", "b.example"])).unwrap());
    assert!(acme.shown.choose(Some("b.example"), false).is_some());
    let still = shown(&acme, "a.example");
    assert!(same(&before.usable.key, &still.usable.key));
    assert!(acme.set_names(&set(&["b.example"])).unwrap());
    assert!(acme.shown.choose(Some("a.example"), false).is_none());
    // An order for it that was under way changes nothing.
    acme.take("a.example", &issued("a.example", 90)).unwrap();
    assert!(acme.shown.choose(Some("a.example"), false).is_none());
    let many: Vec<String> = (0..=NAMES_MAX).map(|n| format!("{n}.example")).collect();
    let too_many = acme.set_names(&many.into_iter().collect());
    assert!(matches!(too_many, Err(TlsError::TooManyNames { .. })));
}

#[tokio::test]
async fn a_directory_that_is_down_is_told_and_asked_again_later() {
    let house = House::new();
    let acme = house.open(&["localhost", "127.0.0.1", "x.localhost", "a.example"]);
    let heard = Heard::default();
    assert!(acme.order_next(&heard).await);
    let told = heard.take();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, AlarmLevel::Warning);
    assert_eq!(told[0].1, "tls.renewal");
    assert!(told[0].2.contains("a.example"), "{}", told[0].2);
    assert!(told[0].2.contains("refused"), "{}", told[0].2);
    assert!(acme.shown.choose(Some("a.example"), false).is_some());

    assert!(!acme.order_next(&heard).await, "a pause");
    house.clock.advance_ms(61_000);
    assert!(acme.order_next(&heard).await);
    house.clock.advance_ms(61_000);
    assert!(!acme.order_next(&heard).await, "a longer pause");
    // Somebody who adds a name wants to know now.
    acme.set_names(&set(&["a.example", "b.example"])).unwrap();
    assert!(acme.order_next(&heard).await);
}

#[tokio::test]
async fn a_renewal_that_fails_is_told_near_the_end_and_never_takes_the_certificate_away() {
    let house = House::new();
    let acme = house.open(&["a.example"]);
    acme.take("a.example", &issued("a.example", 90)).unwrap();
    let before = shown(&acme, "a.example");
    let heard = Heard::default();
    for (day, tried, level) in [
        (59, false, None),
        (61, true, None),
        (75, true, None),
        (77, true, Some(AlarmLevel::Warning)),
        (88, true, Some(AlarmLevel::Critical)),
        (91, true, Some(AlarmLevel::Critical)),
    ] {
        let at = START.plus_ms(day * DAY_MS);
        house.clock.advance_ms(at.since(house.clock.now()));
        assert_eq!(acme.order_next(&heard).await, tried, "day {day}");
        let told = heard.take().first().map(|(level, ..)| *level);
        assert_eq!(told, level, "day {day}");
        acme.refresh().unwrap();
        let now = shown(&acme, "a.example");
        assert!(same(&before.usable.key, &now.usable.key), "day {day}");
    }
}

#[test]
fn an_address_without_tls_is_no_directory() {
    let house = House::new();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = AcmeConfig {
        directory: "http://ca.example/dir".to_owned(),
        contact: None,
        ca: None,
    };
    let clock = Arc::clone(&house.clock) as Arc<dyn Clock>;
    let refused = Acme::open(house.dir.path(), config, &set(&[]), provider, clock);
    assert!(matches!(refused, Err(TlsError::Directory(_))));
}

mod pauses {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn names(house: &House) -> BTreeMap<String, Shown> {
        let acme = house.open(&["a.example", "b.example", "c.example"]);
        acme.take("b.example", &issued("b.example", 3)).unwrap();
        acme.take("c.example", &issued("c.example", 2)).unwrap();
        BTreeMap::clone(&acme.shown.names.load())
    }

    #[test]
    fn names_without_a_certificate_come_first_then_those_that_end_first() {
        let shown = names(&House::new());
        let mut plan = Plan::default();
        let now = START.plus_ms(60 * HOUR_MS);
        assert_eq!(plan.begin(&shown, now).as_deref(), Some("a.example"));
        assert_eq!(plan.begin(&shown, now).as_deref(), Some("c.example"));
        assert_eq!(plan.begin(&shown, now).as_deref(), Some("b.example"));
        assert_eq!(plan.begin(&shown, now), None, "all are under way");
        // Two of three days: the third third begins.
        let mut plan = Plan::default();
        let now = START.plus_ms(47 * HOUR_MS);
        assert_eq!(plan.begin(&shown, now).as_deref(), Some("a.example"));
        assert_eq!(plan.begin(&shown, now).as_deref(), Some("c.example"));
        assert_eq!(plan.begin(&shown, now), None);
    }

    #[test]
    fn one_name_that_fails_waits_longer_each_time_and_holds_up_no_other() {
        let shown = names(&House::new());
        let mut plan = Plan::default();
        let mut now = START.plus_ms(60 * HOUR_MS);
        assert_eq!(plan.begin(&shown, now).as_deref(), Some("a.example"));
        plan.failed("a.example", Failed::Name, now);
        assert_eq!(plan.begin(&shown, now).as_deref(), Some("c.example"));

        let alone = BTreeMap::from([("a.example".to_owned(), shown["a.example"].clone())]);
        let mut waits = Vec::new();
        for _ in 0..12 {
            let since = now;
            while plan.begin(&alone, now).is_none() {
                now = now.plus_ms(60_000);
            }
            waits.push(now.since(since) / 60_000);
            plan.failed("a.example", Failed::Name, now);
        }
        assert_eq!(waits[..4], [5, 10, 20, 40], "at most five times in an hour");
        assert_eq!(waits.last(), Some(&720));
    }

    #[test]
    fn a_name_that_was_just_renewed_is_left_alone_whatever_its_certificate_says() {
        let shown = names(&House::new());
        let late = START.plus_ms(1_000 * HOUR_MS);
        let mut plan = Plan::default();
        for name in ["a.example", "b.example", "c.example"] {
            plan.succeeded(name, late);
        }
        assert_eq!(plan.begin(&shown, late.plus_ms(HOUR_MS / 2)), None);
        assert!(plan.begin(&shown, late.plus_ms(HOUR_MS)).is_some());
    }
}
