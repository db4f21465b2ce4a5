//! Placement as a whole: claims, tags, capacity, slow start and learned sizes together.

use proptest::prelude::*;

use crate::bbb::meetings::SeenMeeting;
use crate::cluster::claim::{Claim, Made};
use crate::cluster::moment::Moment;
use crate::cluster::placement::Policy;
use crate::cluster::placement::capacity::Capacity;
use crate::cluster::placement::expectation::Source;
use crate::cluster::placement::tags::{Pool, Tag, TagWish};
use crate::cluster::server::{Mode, ServerId, ServerSpec};
use crate::cluster::testing::{TENANT, id, of, rules, seen, spec};
use crate::cluster::wish::Wish;
use crate::cluster::{Cluster, Rules};

/// Long after any slow start.
const LATER: Moment = Moment(3_600_000);

fn wish(tags: &str) -> Wish {
    Wish { size_hint: None, tags: TagWish::parse(tags) }
}

fn hint(people: u32) -> Wish {
    Wish { size_hint: Some(people), tags: TagWish::default() }
}

fn place(cluster: &mut Cluster, name: &str, wish: &Wish, now: Moment) -> Option<u32> {
    match cluster.claim(TENANT, &id(name), wish, now) {
        Claim::Won(claim, server) => {
            cluster.settle(claim, Made::default(), now);
            Some(server.0)
        }
        Claim::Unavailable | Claim::TagUnavailable => None,
        other @ (Claim::Existing(_) | Claim::Wait(_)) => panic!("{other:?}"),
    }
}

fn people(name: &str, people: u32) -> SeenMeeting {
    SeenMeeting { people, ..seen(name, &format!("i-{name}")) }
}

/// Servers with these tags (`""`: none) and this many people in old meetings.
fn tagged(servers: &[(&str, u32)], open: bool) -> Cluster {
    let specs = (1..).zip(servers).map(|(n, (tags, _))| ServerSpec {
        tags: tags.split_terminator(';').map(|tag| Tag::new(tag).unwrap()).collect(),
        ..spec(&format!("bbb{n}"))
    });
    let rules = Rules { all_tagged_open: open, ..rules() };
    let mut cluster = of(specs.collect(), Policy::ExpectedLoad, rules);
    for (server, (_, load)) in (0..).zip(servers) {
        let old = [people(&format!("old{server}"), *load)];
        cluster.observe(ServerId(server), &old, LATER, LATER);
        // Whoever is there has come.
        cluster.observe(ServerId(server), &old, LATER, Moment(LATER.0 + LATER.0));
    }
    cluster
}

const MUCH_LATER: Moment = Moment(3 * LATER.0);

#[track_caller]
fn check_tags(servers: &[(&str, u32)], asked: &str, expected: Result<u32, Claim>) {
    let mut cluster = tagged(servers, true);
    let claim = cluster.claim(TENANT, &id("m"), &wish(asked), MUCH_LATER);
    let found = if let Claim::Won(_, server) = claim { Ok(server.0 + 1) } else { Err(claim) };
    assert_eq!(found, expected, "{asked}");
}

/// The cases of `scalelite.md` 4.14, loads ten times as high.
#[test]
fn tags_as_scalelite_has_them() {
    let one_tagged = [("test-tag", 10), ("", 30), ("", 20)];
    for asked in ["", "!", "none", "none!"] {
        check_tags(&one_tagged, asked, Ok(3));
    }
    let several =
        [("", 10), ("test-tag", 30), ("test-tag", 20), ("wrong-tag", 10), ("test-tag2", 10)];
    check_tags(&several, "test-tag", Ok(3));
    check_tags(&several, "test-tag!", Ok(3));
    check_tags(&several, "test-tag;test-tag2", Ok(5));
    check_tags(&several, "test-tag;test-tag2!", Ok(5));
    let without = [("", 30), ("wrong-tag", 20), ("", 20)];
    check_tags(&without, "test-tag", Ok(3));
    check_tags(&without, "test-tag!", Err(Claim::TagUnavailable));
    check_tags(&[], "test-tag!", Err(Claim::TagUnavailable));
    check_tags(&[], "", Err(Claim::Unavailable));
}

#[test]
fn a_server_may_have_several_tags() {
    check_tags(&[("a;b", 50), ("", 0), ("c", 0)], "b", Ok(1));
}

#[test]
fn a_fleet_that_is_all_tagged_serves_creates_without_a_tag_unless_told_otherwise() {
    let fleet = [("a", 30), ("b", 20)];
    check_tags(&fleet, "", Ok(2));
    check_tags(&fleet, "c", Ok(2));
    check_tags(&fleet, "c!", Err(Claim::TagUnavailable));
    check_tags(&fleet, "!", Err(Claim::Unavailable));
    check_tags(&fleet, "none!", Err(Claim::TagUnavailable));
    let claim = tagged(&fleet, false).claim(TENANT, &id("m"), &wish(""), MUCH_LATER);
    assert_eq!(claim, Claim::Unavailable);
    // One without tags that is away keeps the others reserved; one that is disabled does not count.
    let mut cluster = tagged(&[("a", 0), ("", 0)], true);
    cluster.set_mode(ServerId(1), Mode::Drain);
    assert_eq!(place(&mut cluster, "m", &wish(""), MUCH_LATER), None);
    cluster.set_mode(ServerId(1), Mode::Disable);
    assert_eq!(place(&mut cluster, "m", &wish(""), MUCH_LATER), Some(0));
}

#[test]
fn tags_of_a_retry_still_hold() {
    let mut cluster = tagged(&[("a", 0), ("", 0), ("a", 0)], true);
    let Claim::Won(claim, _) = cluster.claim(TENANT, &id("m"), &wish("a!"), MUCH_LATER) else {
        panic!()
    };
    assert_eq!(cluster.move_claim(claim, MUCH_LATER), Some(ServerId(2)));
    assert!(cluster.explanations().last().unwrap().retry);
    assert_eq!(cluster.move_claim(claim, MUCH_LATER), None);
}

fn plain(count: u32, policy: Policy) -> Cluster {
    of((1..=count).map(|n| spec(&format!("bbb{n}"))).collect(), policy, rules())
}

#[test]
fn creates_of_one_moment_see_each_other() {
    for policy in Policy::ALL {
        let mut cluster = plain(4, policy);
        let mut counts = [0; 4];
        for n in 0..40 {
            counts[place(&mut cluster, &format!("m{n}"), &wish(""), LATER).unwrap() as usize] += 1;
        }
        assert_eq!(counts, [10; 4], "{policy:?}");
    }
}

#[test]
fn joins_that_passed_through_count_before_a_poll_shows_them() {
    let mut cluster = plain(2, Policy::ExpectedLoad);
    assert_eq!(place(&mut cluster, "a", &wish(""), LATER), Some(0));
    assert_eq!(place(&mut cluster, "b", &wish(""), LATER), Some(1));
    let soon = Moment(LATER.0 + 60_000);
    for _ in 0..60 {
        cluster.joined(TENANT, &id("a"), soon);
    }
    assert_eq!(cluster.load(ServerId(0)).people, 60);
    for n in 0..4 {
        assert_eq!(place(&mut cluster, &format!("m{n}"), &wish(""), soon), Some(1));
    }
    cluster.meetings().check_invariants();
}

#[test]
fn expectations_decay_to_those_who_came() {
    let mut cluster = plain(1, Policy::ExpectedLoad);
    place(&mut cluster, "m", &hint(50), LATER);
    let mut before = f64::INFINITY;
    for minutes in 0..=61 {
        let now = Moment(LATER.0 + minutes * 60_000);
        cluster.observe(ServerId(0), &[people("m", 4)], now, now);
        let expected = cluster.load(ServerId(0)).expected();
        assert!(expected <= before + 1.0, "{minutes}: {expected} after {before}");
        before = expected;
    }
    assert_eq!(before, 4.0);
}

#[test]
fn what_was_learned_of_an_id_counts_next_time_and_after_a_restart() {
    let run = |cluster: &mut Cluster, now: Moment| {
        place(cluster, "lecture", &wish(""), now);
        let at = |ms: u64| Moment(now.0 + ms);
        cluster.observe(ServerId(0), &[people("lecture", 240)], at(1), at(1));
        cluster.observe(ServerId(0), &[], at(2), at(2));
        cluster.observe(ServerId(0), &[], at(3), at(3));
        assert!(cluster.find(TENANT, &id("lecture")).is_none());
    };
    let mut cluster = plain(1, Policy::ExpectedLoad);
    run(&mut cluster, LATER);
    run(&mut cluster, MUCH_LATER);
    let records = cluster.sizes().export(MUCH_LATER);
    let mut reborn = plain(2, Policy::ExpectedLoad);
    reborn.import_sizes(records, LATER);
    place(&mut reborn, "lecture", &wish(""), LATER);
    let why = reborn.explanations().last().unwrap();
    assert_eq!(why.source, Source::Learned);
    assert!(why.expected > 120.0, "{why}");
    place(&mut reborn, "unknown", &wish(""), LATER);
    assert_eq!(reborn.explanations().last().unwrap().source, Source::Tenant);
}

#[test]
fn giants_keep_apart() {
    let mut cluster = plain(2, Policy::ExpectedLoad);
    assert_eq!(place(&mut cluster, "g1", &hint(200), LATER), Some(0));
    // Now the other one is worse off, but has no giant.
    for n in 0..9 {
        place(&mut cluster, &format!("m{n}"), &hint(30), LATER);
    }
    assert!(cluster.load(ServerId(1)).cost() > cluster.load(ServerId(0)).cost());
    assert_eq!(place(&mut cluster, "g2", &hint(200), LATER), Some(1));
}

#[test]
fn a_server_that_comes_back_is_spared_at_first() {
    let mut cluster = plain(3, Policy::ExpectedLoad);
    for _ in 0..3 {
        cluster.failed(ServerId(2), LATER);
    }
    for n in 0..20 {
        place(&mut cluster, &format!("m{n}"), &wish(""), LATER);
    }
    for _ in 0..2 {
        cluster.observe(ServerId(2), &[], LATER, LATER);
    }
    let share = |cluster: &mut Cluster, name: &str, after_ms: u64| {
        let now = Moment(LATER.0 + after_ms);
        let places = (0..10).map(|n| place(cluster, &format!("{name}{n}"), &wish(""), now));
        places.filter(|server| *server == Some(2)).count()
    };
    let (at_once, later) = (share(&mut cluster, "a", 0), share(&mut cluster, "b", 300_000));
    assert!(at_once <= 2 && later >= 7, "{at_once} {later}");
}

#[test]
fn the_decision_can_be_explained() {
    let mut cluster = tagged(&[("", 30), ("", 10), ("", 20), ("", 40)], true);
    place(&mut cluster, "Mathe 7b", &hint(25), MUCH_LATER);
    let why = cluster.explanations().last().unwrap();
    assert_eq!((why.chosen.server, why.chosen.name.as_str()), (ServerId(1), "bbb2"));
    let next: Vec<&str> = why.next.iter().map(|choice| choice.name.as_str()).collect();
    assert_eq!(next, ["bbb3", "bbb1"]);
    assert!(why.next[0].score > why.chosen.score && why.next[1].score > why.next[0].score);
    assert_eq!((why.pool, why.source, why.candidates), (Pool::Untagged, Source::Hint, 4));
    assert!(!why.to_string().contains("Mathe"), "{why}");
}

#[derive(Debug, Clone)]
enum Step {
    Create(u32, Option<u32>),
    Join(u32),
    Settle,
    Release,
    Move,
    Poll(u32),
    Mode(u32, Mode),
}

fn step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![Just(Mode::Serve), Just(Mode::Drain), Just(Mode::Disable)];
    prop_oneof![
        6 => (0..60_u32, prop::option::of(0..60_u32)).prop_map(|(id, hint)| Step::Create(id, hint)),
        3 => (0..60_u32).prop_map(Step::Join),
        2 => Just(Step::Settle),
        1 => Just(Step::Release),
        1 => Just(Step::Move),
        1 => (0..4_u32).prop_map(Step::Poll),
        1 => (0..4_u32, mode).prop_map(|(server, mode)| Step::Mode(server, mode)),
    ]
}

/// That placing the last meeting on `server` was allowed.
fn check_placed(cluster: &Cluster, server: ServerId) -> Result<(), TestCaseError> {
    let member = cluster.member(server).unwrap();
    let load = cluster.load(server);
    prop_assert_eq!(member.mode, Mode::Serve);
    let Capacity { people, meetings } = member.spec.capacity;
    prop_assert!(load.meetings <= meetings.unwrap(), "{load:?}");
    prop_assert!(load.expected() <= f64::from(people.unwrap()), "{load:?}");
    Ok(())
}

proptest! {
    #[test]
    fn capacity_and_modes_hold_whatever_happens(
        policy in prop::sample::select(Policy::ALL.to_vec()),
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let capacity = Capacity { people: Some(100), meetings: Some(7) };
        let specs = (1..=4).map(|n| ServerSpec { capacity, ..spec(&format!("bbb{n}")) });
        let mut cluster = of(specs.collect(), policy, rules());
        let mut open = Vec::new();
        for (n, step) in (1..).zip(steps) {
            let now = Moment(LATER.0 + n * 1_000);
            match step {
                Step::Create(name, size_hint) => {
                    let wish = Wish { size_hint, tags: TagWish::default() };
                    let claim = cluster.claim(TENANT, &id(&name.to_string()), &wish, now);
                    if let Claim::Won(claim, server) = claim {
                        check_placed(&cluster, server)?;
                        open.push(claim);
                    }
                }
                Step::Join(name) => cluster.joined(TENANT, &id(&name.to_string()), now),
                Step::Settle => {
                    if let Some(claim) = open.pop() {
                        cluster.settle(claim, Made::default(), now);
                    }
                }
                Step::Release => {
                    if let Some(claim) = open.pop() {
                        cluster.release(claim);
                    }
                }
                Step::Move => {
                    let moved = open.last().and_then(|claim| cluster.move_claim(*claim, now));
                    if let Some(server) = moved {
                        check_placed(&cluster, server)?;
                    }
                }
                Step::Poll(server) => {
                    cluster.observe(ServerId(server), &[], now, now);
                }
                Step::Mode(server, mode) => cluster.set_mode(ServerId(server), mode),
            }
            cluster.meetings().check_invariants();
        }
    }

    #[test]
    fn the_order_of_equal_creates_does_not_matter(
        mut sizes in prop::collection::vec(1_u32..90, 1..30), seed in any::<prop::sample::Index>(),
    ) {
        // The load after all of them is the same sum, whoever came first.
        let sum = |sizes: &[u32]| -> f64 {
            let mut cluster = plain(3, Policy::ExpectedLoad);
            for (n, size) in sizes.iter().enumerate() {
                place(&mut cluster, &n.to_string(), &hint(*size), LATER);
            }
            (0..3).map(|server| cluster.load(ServerId(server)).cost()).sum()
        };
        let before = sum(&sizes);
        let at = seed.index(sizes.len());
        sizes.rotate_left(at);
        prop_assert!((sum(&sizes) - before).abs() < 0.1);
    }
}
