//! The HTTP edge, byte by byte, over real sockets. Names carry the case of the description they come from: M and
//! S of `clients.md`, C of `bbblb-b3lb.md`, CR of `scalelite.md`.

mod bodies;
mod checksums;
mod compression;
mod headers;
mod lines;
mod smuggling;

use std::time::Duration;

use sim::{Sim, SimConfig};

use crate::harness::{Gateway, World, settings};

/// Servers that take larger bodies than usual, as operators set them who allow large slides.
async fn roomy(count: usize) -> World {
    let sims = sim::start_many(count, |n| SimConfig {
        name: format!("bbb{}", n + 1),
        secret: format!("secret-{}", n + 1),
        end_delay: Duration::from_millis(50),
        body_bytes_max: 80 * 1024 * 1024,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let gateway = Gateway::start(settings(&sims)).await;
    for sim in &sims {
        sim.clear_calls();
    }
    World { sims, gateway }
}

/// The only `call` that the servers received.
#[track_caller]
fn only_call(world: &World, call: &str) -> sim::ReceivedCall {
    let mut calls: Vec<_> = world.sims.iter().flat_map(|sim: &Sim| sim.calls_of(call)).collect();
    assert_eq!(calls.len(), 1, "{call}: {calls:?}");
    calls.remove(0)
}
