//! One independent task per server: asks for its meetings, tells the cluster, waits (design section 3). No task
//! waits for another server (rule 6).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::bbb::meetings::{self, NoList};
use crate::client::{Client, Failure};
use crate::cluster::health::Health;
use crate::cluster::server::ServerId;
use crate::config::settings::{ProbeSettings, Settings};
use crate::services::each;
use crate::state::events::Kind;
use crate::state::{MeetingList, State};

/// A suspect server is asked again soon, to know.
const SUSPECT_INTERVAL: Duration = Duration::from_secs(1);

/// Why a probe brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProbe {
    /// No answer.
    #[error("{0}")]
    Unreachable(#[from] Failure),
    /// An answer that is no list.
    #[error("{0}")]
    NoList(#[from] NoList),
}

/// Asks `server` for its meetings once and tells the cluster what came of it. The number of meetings.
pub async fn once(
    state: &State,
    client: &Client,
    server: ServerId,
    deadline: Duration,
) -> Result<usize, NoProbe> {
    let asked = state.now();
    let answer = client.call(server, "getMeetings", "", deadline).await;
    let list = answer.map_err(NoProbe::from).and_then(|body| {
        let meetings = meetings::read(&body)?.into();
        Ok(MeetingList { body, meetings })
    });
    match list {
        Ok(list) => {
            state.polls().answered(&name(state, server), state.now().since(asked));
            let count = list.meetings.len();
            let observed = state.observe(server, list, asked);
            let name = name(state, server);
            if let Some(change) = observed.change {
                log::info!("server is {}; server={name} was={}", change.to, change.from);
                state.note(Kind::Health, &name, format!("is {}, was {}", change.to, change.from));
            }
            let (adopted, gone) = (observed.adopted, observed.gone.len());
            if adopted + gone > 0 {
                log::debug!("meetings changed; server={name} adopted={adopted} gone={gone}");
            }
            if !observed.doubled.is_empty() {
                let count = observed.doubled.len();
                log::warn!(
                    "meetings are alive here and on another server; server={name} count={count}"
                );
            }
            Ok(count)
        }
        Err(why) => {
            if let Some(change) = state.failed(server) {
                let (name, to) = (name(state, server), change.to);
                log::warn!("server is {to}; server={name} was={} reason={why}", change.from);
                state.note(Kind::Health, &name, format!("is {to}, was {}: {why}", change.from));
            }
            Err(why)
        }
    }
}

fn name(state: &State, server: ServerId) -> String {
    state.cluster().member(server).map_or_else(String::new, |member| member.spec.name.to_string())
}

/// Watches all servers, those that come later too, until `shutdown` turns true.
pub async fn run(
    state: Arc<State>,
    client: Client,
    settings: watch::Receiver<Arc<Settings>>,
    shutdown: watch::Receiver<bool>,
) {
    let servers = || state.servers().into_iter().map(|(server, _)| server).collect();
    let watch = |server| watch_one(state.clone(), client.clone(), settings.clone(), server);
    each::run(servers, watch, state.watch_servers(), shutdown).await;
}

async fn watch_one(
    state: Arc<State>,
    client: Client,
    settings: watch::Receiver<Arc<Settings>>,
    server: ServerId,
) {
    let mut failures: u32 = 0;
    // Spread over the interval, so that a thousand servers are not all asked in one moment.
    let mut jitter = Jitter::seeded(&name(&state, server));
    let mut pause = settings.borrow().probe.interval.mul_f64(jitter.next());
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = state.probe_wished(server) => {}
        }
        let settings = settings.borrow().probe;
        failures = match once(&state, &client, server, settings.timeout).await {
            Ok(_) => 0,
            Err(_) => failures.saturating_add(1),
        };
        if state.retire(server) {
            return;
        }
        let health = state.cluster().member(server).map(|member| member.pulse.health());
        let base = pause_after(&settings, health.unwrap_or(Health::Down), failures);
        pause = base.mul_f64(0.9 + 0.2 * jitter.next());
    }
}

/// How long to wait after a probe: doubling while the server is down, up to the bound.
fn pause_after(settings: &ProbeSettings, health: Health, failures: u32) -> Duration {
    match health {
        Health::Up => settings.interval,
        Health::Suspect => settings.interval.min(SUSPECT_INTERVAL),
        // Back, but not for long enough to be trusted.
        Health::Down if failures == 0 => settings.interval.min(SUSPECT_INTERVAL),
        Health::Down => {
            let doubled = failures.saturating_sub(settings.down_after).min(16);
            settings.interval.saturating_mul(1 << doubled).min(settings.backoff_max)
        }
    }
}

/// Numbers from 0 to 1 that differ from server to server; nothing secret depends on them.
struct Jitter(u64);

impl Jitter {
    fn seeded(name: &str) -> Self {
        let fold = |state: u64, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
    }

    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let top = u32::try_from(self.0 >> 32).unwrap_or_default();
        f64::from(top) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_while_a_server_is_down_and_are_short_while_it_is_unclear() {
        let settings = ProbeSettings::default();
        let seconds = |health, failures| pause_after(&settings, health, failures).as_secs();
        assert_eq!(seconds(Health::Up, 0), 5);
        assert_eq!(seconds(Health::Suspect, 1), 1);
        assert_eq!(seconds(Health::Down, 0), 1);
        let down: Vec<u64> = (3..8).map(|failures| seconds(Health::Down, failures)).collect();
        assert_eq!(down, [5, 10, 20, 30, 30]);
        assert_eq!(seconds(Health::Down, u32::MAX), 30);
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let mut jitter = Jitter::seeded("bbb1");
        assert!((0..1000).map(|_| jitter.next()).all(|n| (0.0..=1.0).contains(&n)));
    }
}
