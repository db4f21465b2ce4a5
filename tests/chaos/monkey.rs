//! Disturbs: one server after the other, several at the same time but never all, and tinyscale.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tinyscale::replay::random::Random;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Plan;
use crate::process::listening;
use crate::world::{ANSWER, World};

/// So many servers are left alone.
const ALONE_MIN: usize = 2;
/// A run that is shorter than this has no time for long disturbances.
const LONG_RUN_S: u64 = 60;
/// Frozen ones must be back before they count as lost, or their meetings are rightly made anew elsewhere.
const FROZEN_MAX_MS: u64 = 11_000;
/// Beyond `failover_after`.
const DEAD_MAX_MS: u64 = 28_000;

/// Plays until it is told to be calm, and leaves everything well.
pub(crate) async fn play(world: Arc<World>, plan: Plan) {
    let mut random = Random::new(plan.seed ^ 0x006d_6f6e_6b65_7921);
    let long = if plan.seconds < LONG_RUN_S { 0.0 } else { 0.2 };
    let mut playing = JoinSet::new();
    let mut next_kill = Instant::now() + Duration::from_secs(5);
    while !world.is_calm() {
        if Instant::now() >= next_kill {
            kill_tinyscale(&world, random.below(2_500)).await;
            next_kill = Instant::now() + Duration::from_millis(6_000 + random.below(8_000));
        }
        let well: Vec<usize> = (0..world.servers.len())
            .filter(|number| !world.servers[*number].disturbed.is_under_way())
            .collect();
        if well.len() > ALONE_MIN {
            let number = well[random.below(well.len() as u64) as usize];
            world.servers[number].disturbed.begin();
            let (world, random) = (Arc::clone(&world), Random::new(random.below(u64::MAX)));
            playing.spawn(async move {
                world.count.note(&format!("server {number}: disturbed"));
                disturb(&world, number, long, random).await;
                world.count.note(&format!("server {number}: well"));
                world.servers[number].disturbed.end();
            });
        }
        pause(300 + random.below(1_700)).await;
        while playing.try_join_next().is_some() {}
    }
    while playing.join_next().await.is_some() {}
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

async fn kill_tinyscale(world: &World, away_ms: u64) {
    world.disturbed.begin();
    if world.tinyscale.ended_by_itself() {
        world.count.mistake(ANSWER, "tinyscale ended by itself".to_owned());
    }
    world.tinyscale.kill();
    world.count.note("tinyscale is killed");
    world.count.add("disturbance: tinyscale killed and started again");
    pause(away_ms).await;
    world.tinyscale.start();
    let listens = listening(world.gateway).await;
    world.count.note("tinyscale listens");
    if !listens {
        world.count.mistake(ANSWER, "tinyscale does not start again".to_owned());
    }
    world.disturbed.end();
}

/// One disturbance; `long` is how likely it is a long one, if its kind may be.
async fn disturb(world: &World, number: usize, long: f64, mut random: Random) {
    let server = &world.servers[number];
    let name = match random.below(10) {
        0 | 1 => {
            // What was made before the kill is lost, and also what was made in the moment of it.
            server.disturbed.lose_all();
            server.slot.kill();
            world.count.note(&format!("server {number}: killed"));
            server.disturbed.lose_all();
            let long = random.unit() < long;
            pause(random.below(if long { DEAD_MAX_MS } else { 4_000 })).await;
            server.start().await;
            "killed and restarted empty"
        }
        2 | 3 => {
            server.slot.freeze();
            world.count.note(&format!("server {number}: frozen"));
            let long = random.unit() < long;
            pause(200 + random.below(if long { FROZEN_MAX_MS } else { 3_000 })).await;
            server.slot.thaw();
            "frozen"
        }
        4 => {
            let ms = 200 + random.below(1_500);
            fault(world, number, &json!({ "fault": "delay", "ms": ms })).await;
            pause(1_000 + random.below(5_000)).await;
            "slow"
        }
        5 => {
            for _ in 0..3 + random.below(5) {
                world.client.post(&format!("{}/stop", server.control), &json!({})).await;
                pause(50 + random.below(700)).await;
                world.client.post(&format!("{}/restart", server.control), &json!({})).await;
                pause(50 + random.below(700)).await;
            }
            "flapping"
        }
        _ => {
            const FAULTS: [&str; 10] = [
                "reset-before",
                "reset-after",
                "reset-mid-body",
                "hang",
                "hang-after",
                "bad-gateway",
                "html200",
                "empty200",
                "wrong-xml",
                "truncated-xml",
            ];
            const CALLS: [&str; 6] =
                ["create", "create", "create", "getMeetings", "getMeetingInfo", "end"];
            let pick = |random: &mut Random, of: &[&str]| {
                of[random.below(of.len() as u64) as usize].to_owned()
            };
            for _ in 0..1 + random.below(4) {
                let (kind, call) = (pick(&mut random, &FAULTS), pick(&mut random, &CALLS));
                let times = 1 + random.below(3);
                let body = json!({ "fault": kind, "call": call, "times": times });
                fault(world, number, &body).await;
            }
            pause(500 + random.below(3_000)).await;
            "answering wrongly, or not at all"
        }
    };
    world.client.delete(&format!("{}/faults", server.control)).await;
    world.count.add(&format!("disturbance: server {name}"));
}

async fn fault(world: &World, number: usize, body: &serde_json::Value) {
    let url = format!("{}/faults", world.servers[number].control);
    assert!(world.client.post(&url, body).await, "{body}");
}
