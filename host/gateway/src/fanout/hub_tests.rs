//! Whatever the order of joins, leaves, events and sockets, each event reaches each socket that may see it once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use proptest::prelude::*;
use vaxel_core::{TenantId, UnixMs, UserId};
use vaxel_storage::{AudienceId, Committed, Event, Stamp};

use super::hub::{Hub, Passed};
use crate::socket::outbox::{Out, Outbox, Room};

const ROOM: Room = Room {
    frames: 100_000,
    bytes: 100_000_000,
};

fn user(n: u8) -> UserId {
    UserId::from_u128(u128::from(n))
}

fn audience(n: u8) -> AudienceId {
    AudienceId([n; 16])
}

#[derive(Clone, Debug)]
enum Op {
    Commit {
        joins: Vec<(u8, u8)>,
        leaves: Vec<(u8, u8)>,
        events: Vec<u8>,
    },
    /// The hub hands out one more commit.
    HandOut,
    Connect(u8),
    Disconnect(usize),
    /// A socket arrives; its memberships are read, then its turn is published, whatever happens between.
    Arrive(u8),
    Read(usize),
    Turn(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let pairs = || prop::collection::vec((0_u8..3, 0_u8..3), 0..3);
    let op = prop_oneof![
        4 => (pairs(), pairs(), prop::collection::vec(0_u8..3, 0..3))
            .prop_map(|(joins, leaves, events)| Op::Commit { joins, leaves, events }),
        4 => Just(Op::HandOut),
        2 => (0_u8..3).prop_map(Op::Connect),
        1 => (0_usize..4).prop_map(Op::Disconnect),
        2 => (0_u8..3).prop_map(Op::Arrive),
        2 => (0_usize..3).prop_map(Op::Read),
        2 => (0_usize..3).prop_map(Op::Turn),
    ];
    prop::collection::vec(op, 0..60)
}

/// Storage as the hub sees it: memberships of the applied state, and what each socket is owed.
#[derive(Default)]
struct Model {
    seq: u64,
    /// (audience, user) -> the commit of the join
    members: BTreeMap<(u8, u8), u64>,
    sockets: Vec<(u8, Arc<Outbox>, Vec<Stamp>)>,
}

impl Model {
    fn commit(&mut self, joins: &[(u8, u8)], leaves: &[(u8, u8)], events: &[u8]) -> Committed {
        self.seq += 1;
        let mut joined = Vec::new();
        for (a, u) in joins {
            self.members.entry((*a, *u)).or_insert_with(|| {
                joined.push((audience(*a), user(*u)));
                self.seq
            });
        }
        let mut happened = Vec::new();
        for (ordinal, a) in events.iter().enumerate() {
            let stamp = Stamp {
                seq: self.seq,
                ordinal: u16::try_from(ordinal).unwrap(),
            };
            happened.push(Event {
                audience: audience(*a),
                stamp,
                topic: "t".into(),
                payload: Bytes::from_static(b"{}"),
            });
            for (owner, _, owed) in &mut self.sockets {
                if self.members.contains_key(&(*a, *owner)) {
                    owed.push(stamp);
                }
            }
        }
        let mut left = Vec::new();
        for (a, u) in leaves {
            // Storage tells of a leave only where somebody was, and never of one that undoes its own commit's join.
            if self
                .members
                .get(&(*a, *u))
                .is_some_and(|joined| *joined < self.seq)
            {
                self.members.remove(&(*a, *u));
                left.push((audience(*a), user(*u)));
            }
        }
        Committed {
            tenant: TenantId::from_u128(1),
            seq: self.seq,
            at: UnixMs(1),
            joins: joined,
            leaves: left,
            events: happened,
            ephemeral: Vec::new(),
        }
    }

    /// The event that is a socket's turn: ephemeral, behind everything so far.
    fn turn(&self, turn: AudienceId) -> Committed {
        let event = Event {
            audience: turn,
            stamp: Stamp {
                seq: self.seq,
                ordinal: 0,
            },
            topic: "turn".into(),
            payload: Bytes::from_static(b"null"),
        };
        Committed {
            tenant: TenantId::from_u128(1),
            seq: self.seq,
            at: UnixMs(1),
            joins: Vec::new(),
            leaves: Vec::new(),
            events: Vec::new(),
            ephemeral: vec![event],
        }
    }

    fn memberships(&self, owner: u8) -> Vec<(AudienceId, Stamp)> {
        self.members
            .iter()
            .filter(|((_, u), _)| *u == owner)
            .map(|((a, _), seq)| {
                (
                    audience(*a),
                    Stamp {
                        seq: *seq,
                        ordinal: 0,
                    },
                )
            })
            .collect()
    }
}

fn hand_out(hub: &Hub, committed: &Committed) {
    let (frames, ephemeral) = hub.frames(committed);
    hub.deliver(committed, &frames, &ephemeral, &mut Vec::new());
}

fn received(outbox: &Outbox) -> Vec<Stamp> {
    let mut taken = VecDeque::new();
    outbox.take(&mut taken);
    taken
        .into_iter()
        .filter_map(|out| match out {
            Out::Event { stamp, .. } => Some(stamp),
            _ => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn each_event_reaches_each_socket_that_may_see_it_exactly_once_and_in_order(ops in ops()) {
        let hub = Hub::new(1);
        let mut model = Model::default();
        let mut log = VecDeque::new();
        // Owner, outbox, the turn's audience, and the receiver that keeps the arrival alive.
        let mut arriving = Vec::new();
        let mut seated = Vec::new();
        for (id, op) in ops.iter().enumerate() {
            match op {
                Op::Commit { joins, leaves, events } => {
                    log.push_back(model.commit(joins, leaves, events));
                }
                Op::HandOut => {
                    if let Some(committed) = log.pop_front() {
                        hand_out(&hub, &committed);
                    }
                }
                Op::Connect(owner) => {
                    // Live from the applied state on, however far behind the hub is.
                    let outbox = Outbox::new(id as u64, ROOM, 0);
                    let memberships = model.memberships(*owner);
                    let seated =
                        hub.register(&outbox, user(*owner), &memberships, model.seq, Instant::now());
                    prop_assert_eq!(seated, Ok(()));
                    model.sockets.push((*owner, outbox, Vec::new()));
                }
                Op::Arrive(owner) => {
                    let outbox = Outbox::new(id as u64, ROOM, 0);
                    let turn = audience(100 + u8::try_from(id).unwrap());
                    let told = hub.arrive(turn, &outbox, user(*owner));
                    arriving.push((*owner, outbox, turn, told));
                }
                Op::Read(which) => {
                    if let Some((owner, _, turn, _)) = arriving.get(*which) {
                        hub.read(*turn, &model.memberships(*owner));
                    }
                }
                Op::Turn(which) => {
                    if *which < arriving.len() {
                        let (owner, outbox, turn, told) = arriving.remove(*which);
                        hub.read(turn, &model.memberships(owner));
                        log.push_back(model.turn(turn));
                        // Owed from here on: the turn lies behind all commits so far.
                        model.sockets.push((owner, Arc::clone(&outbox), Vec::new()));
                        seated.push((model.seq, told));
                    }
                }
                Op::Disconnect(which) => {
                    if *which < model.sockets.len() {
                        let (owner, outbox, _) = model.sockets.remove(*which);
                        hub.remove(&outbox, user(owner), Instant::now());
                    }
                }
            }
        }
        for committed in log {
            hand_out(&hub, &committed);
        }
        for (at, mut told) in seated {
            // A socket that was gone before its turn came by is not asked.
            if let Ok(turn) = told.try_recv() {
                prop_assert_eq!(turn.at, at);
            }
        }
        for (owner, outbox, owed) in &model.sockets {
            prop_assert_eq!(&received(outbox), owed, "user {}", owner);
        }
    }
}

#[test]
fn a_socket_cannot_begin_behind_what_was_handed_out() {
    let hub = Hub::new(1);
    let mut model = Model::default();
    let first = Outbox::new(1, ROOM, 0);
    hub.register(&first, user(0), &[], 0, Instant::now())
        .unwrap();
    hand_out(&hub, &model.commit(&[(0, 0)], &[], &[0]));
    let late = Outbox::new(2, ROOM, 0);
    assert_eq!(
        hub.register(&late, user(0), &[], 0, Instant::now()),
        Err(Passed)
    );
    assert_eq!(received(&first).len(), 1);
}

#[test]
fn a_reader_that_does_not_read_is_cut_and_the_others_get_everything() {
    let hub = Hub::new(1);
    let mut model = Model::default();
    let slow = Outbox::new(
        1,
        Room {
            frames: 4,
            bytes: 1_000_000,
        },
        0,
    );
    let quick = Outbox::new(2, ROOM, 0);
    model.commit(&[(0, 0), (0, 1)], &[], &[]);
    for (n, outbox) in [(0, &slow), (1, &quick)] {
        hub.register(outbox, user(n), &model.memberships(n), 1, Instant::now())
            .unwrap();
    }
    for _ in 0..100 {
        hand_out(&hub, &model.commit(&[], &[], &[0]));
    }
    assert_eq!(slow.bye(), Some(crate::socket::frame::Bye::Slow));
    assert_eq!(received(&quick).len(), 100);
}

#[test]
fn all_receivers_share_one_frame() {
    let hub = Hub::new(1);
    let mut model = Model::default();
    model.commit(&[(0, 0), (0, 1)], &[], &[]);
    let outboxes: Vec<_> = (0..2).map(|n| Outbox::new(n, ROOM, 0)).collect();
    for (n, outbox) in outboxes.iter().enumerate() {
        let n = u8::try_from(n).unwrap();
        hub.register(outbox, user(n), &model.memberships(n), 1, Instant::now())
            .unwrap();
    }
    hand_out(&hub, &model.commit(&[], &[], &[0]));
    let frames: Vec<_> = outboxes
        .iter()
        .map(|outbox| {
            let mut taken = VecDeque::new();
            outbox.take(&mut taken);
            match taken.pop_front() {
                Some(Out::Event { frame, .. }) => frame.as_ptr(),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    assert_eq!(frames[0], frames[1]);
}

#[test]
fn what_is_told_to_all_reaches_every_socket_once_and_no_audience_is_asked() {
    let hub = Hub::new(1);
    let outboxes: Vec<_> = (0..3).map(|n| Outbox::new(n, ROOM, 0)).collect();
    // Two devices of one person, and one of somebody else.
    for (outbox, owner) in outboxes.iter().zip([0, 0, 1]) {
        hub.register(outbox, user(owner), &[], 0, Instant::now())
            .unwrap();
    }
    let plugin = "example".parse().unwrap();
    let frame = crate::socket::frame::plugin_switched(&plugin, false);
    assert_eq!(hub.tell(&frame, &mut Vec::new()).frames, 3);
    for outbox in &outboxes {
        let mut taken = VecDeque::new();
        outbox.take(&mut taken);
        let told: Vec<_> = taken
            .iter()
            .map(|out| match out {
                Out::Ephemeral(frame) => String::from_utf8(frame.to_vec()).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = r#"{"type":"event","topic":"plugins.switched","data":{"plugin":"example","enabled":false}}"#;
        assert_eq!(told, [expected]);
    }
}
