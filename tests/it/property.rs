//! For any meetings on any servers, a call through the gateway gives what the right server alone would give:
//! byte for byte where one server answers, element for element where several do.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sim::{Recording, Sim};
use tinyscale::bbb::query::encode;

use crate::harness::{Answer, World, fetch, http, wait_for};

const SERVERS: usize = 3;

/// A meeting to make.
#[derive(Debug, Clone)]
struct Plan {
    /// What follows a unique start of its ID, any text.
    id: String,
    name: String,
    /// Made at this server, for the gateway to find; else through the gateway.
    at: Option<usize>,
    people: u32,
    /// How its ID is written in queries.
    spelling: Spelling,
    /// Further parameters as they stand in the query.
    raw: String,
    recorded: bool,
}

#[derive(Debug, Clone, Copy)]
enum Spelling {
    Plus,
    Percent,
    LowerCase,
}

impl Spelling {
    /// `text` encoded in one of the ways that clients have (`clients.md` 8).
    fn of(self, text: &str) -> String {
        let plus = encode(text);
        match self {
            Self::Plus => plus,
            Self::Percent => plus.replace('+', "%20"),
            Self::LowerCase => {
                let mut pieces = plus.split('%');
                let first = pieces.next().unwrap_or_default().to_owned();
                pieces.fold(first, |text, piece| {
                    let (escape, rest) = piece.split_at(2);
                    format!("{text}%{}{rest}", escape.to_lowercase())
                })
            }
        }
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        "[^,\\p{C}]{0,20}",
        "[^\\p{C}]{2,20}",
        prop::option::of(0..SERVERS),
        0..4_u32,
        prop_oneof![Just(Spelling::Plus), Just(Spelling::Percent), Just(Spelling::LowerCase)],
        "(&x[a-z]{1,3}=[a-zA-Z0-9+._~*()!-]{0,9}(%2[0-9a-fA-F]|%[cC]3%[aA]9)?){0,4}",
        any::<bool>(),
    )
        .prop_map(|(id, name, at, people, spelling, raw, recorded)| Plan {
            id,
            name,
            at,
            people,
            spelling,
            raw,
            recorded,
        })
}

/// A meeting that was made: its query, and the server that has it.
struct Made<'w> {
    query: String,
    server: &'w Sim,
}

async fn make<'w>(world: &'w World, plan: &Plan, number: usize) -> Made<'w> {
    // No hexadecimal digit: servers look internal IDs up by prefix.
    let id = format!("m{number}-{}", plan.id);
    let id = id.trim();
    let query = format!("meetingID={}{}", plan.spelling.of(id), plan.raw);
    let create = format!("{query}&name={}", plan.spelling.of(&format!("n {}", plan.name)));
    match plan.at {
        Some(server) => {
            let url = world.sims[server].signed_url("create", &create);
            fetch(http().get(url)).await.assert_success();
            wait_for("the meeting to be found", || world.gateway.home(id).is_some()).await;
        }
        None => {
            world.gateway.get("create", &create).await.assert_success();
        }
    }
    let server = world.server_of(id);
    assert_eq!(world.gateway.home(id).as_deref(), Some(server.name()));
    server.add_users(id, plan.people);
    if plan.recorded {
        server.add_recording(Recording::of(id, 1_700_000_000_000 + number as u64));
    }
    Made { query, server }
}

/// Calls that one server answers, and that change nothing that another call would see.
async fn check_forwarded(world: &World, made: &Made<'_>) {
    let chat = format!("{}&message=hi", made.query);
    let again = format!("{}&name=other", made.query);
    for (call, query) in [
        ("getMeetingInfo", &made.query),
        ("isMeetingRunning", &made.query),
        ("create", &again),
        ("sendChatMessage", &chat),
    ] {
        let through = world.gateway.get(call, query).await;
        let direct = fetch(http().get(made.server.signed_url(call, query))).await;
        assert_eq!(through.body, direct.body, "{call}?{query}");
        assert_eq!(through.status, direct.status, "{call}?{query}");
        assert_eq!(through.header("content-type"), direct.header("content-type"));
    }
    let join = format!("{}&fullName=Ada+L", made.query);
    let through = world.gateway.get("join", &join).await;
    assert_eq!(through.header("location"), made.server.signed_url("join", &join));
}

/// Calls that all servers answer: each element of each server once, as it wrote it.
async fn check_merged(world: &World) {
    for (call, element) in [("getMeetings", "meeting"), ("getRecordings", "recording")] {
        let through = world.gateway.get(call, "").await;
        let mut expected = Vec::new();
        for sim in &world.sims {
            let direct = fetch(http().get(sim.signed_url(call, ""))).await;
            expected.extend(elements(&direct, element));
        }
        let mut merged = elements(&through, element);
        expected.sort_unstable();
        merged.sort_unstable();
        assert_eq!(merged, expected, "{call}");
    }
}

/// What a client is told of a meeting that does not exist is what any server would say.
async fn check_unknown(world: &World, plan: &Plan) {
    let query = format!("meetingID={}{}", plan.spelling.of(&format!("no-{}", plan.id)), plan.raw);
    for call in ["getMeetingInfo", "isMeetingRunning", "end"] {
        let through = world.gateway.get(call, &query).await;
        let direct = fetch(http().get(world.sims[0].signed_url(call, &query))).await;
        for text in ["returncode", "messageKey", "message", "running"] {
            assert_eq!(through.text(text), direct.text(text), "{call}?{query}");
        }
    }
}

fn elements(answer: &Answer, name: &str) -> Vec<String> {
    answer.assert_success();
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let rests = answer.body.split(&open).skip(1);
    rests.filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}

#[test]
fn any_call_gives_what_the_right_server_alone_would_give() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(SERVERS));
    let number = AtomicUsize::new(0);
    let config =
        ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(plan(), 1..5), |plans| {
        runtime.block_on(async {
            let mut all = Vec::new();
            for plan in &plans {
                all.push(make(&world, plan, number.fetch_add(1, Ordering::Relaxed)).await);
            }
            for made in &all {
                check_forwarded(&world, made).await;
            }
            check_merged(&world).await;
            check_unknown(&world, &plans[0]).await;
        });
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}\n{world_note}", world_note = "the cluster is shared by all tries");
    }
}
