//! How long a decision takes on a large cluster: 1,000 servers with 100,000 meetings, all of them young.

use std::time::{Duration, Instant};

use tinyscale::bbb::id::{InternalId, MeetingId, TenantId};
use tinyscale::bbb::meetings::SeenMeeting;
use tinyscale::cluster::Cluster;
use tinyscale::cluster::claim::Claim;
use tinyscale::cluster::moment::Moment;
use tinyscale::cluster::placement::Policy;
use tinyscale::cluster::server::ServerId;
use tinyscale::cluster::wish::Wish;
use tinyscale::config::settings::{BalanceSettings, ProbeSettings};
use tinyscale::replay::ours::specs;

const SERVERS: u32 = 1_000;
const MEETINGS_EACH: u32 = 100;
const DECISIONS: usize = 2_000;

/// The median and the slowest hundredth of placing a meeting and taking the placement back.
#[expect(clippy::disallowed_methods, reason = "measures time")]
pub(crate) fn decide(policy: Policy) -> (Duration, Duration) {
    let mut cluster = large(policy);
    let now = Moment(10_000_000);
    let mut times: Vec<Duration> = (0..DECISIONS)
        .map(|n| {
            let id = MeetingId::new(&format!("new-{n}")).unwrap();
            let start = Instant::now();
            let claim = cluster.claim(TenantId::DEFAULT, &id, &Wish::default(), now);
            let took = start.elapsed();
            assert!(matches!(claim, Claim::Won(..)));
            took
        })
        .collect();
    times.sort();
    (times[DECISIONS / 2], times[DECISIONS * 99 / 100])
}

fn large(policy: Policy) -> Cluster {
    let balance = BalanceSettings { policy, ..BalanceSettings::default() };
    let rules = balance.rules(&ProbeSettings::default());
    let mut cluster = Cluster::new(rules, policy.placement(balance.weights.two_giants));
    for (server, spec) in (0..SERVERS).zip(specs(SERVERS as usize)) {
        let id = cluster.add_server(std::sync::Arc::new(spec), Moment(0));
        assert_eq!(id, ServerId(server));
        cluster.observe(id, &[], Moment(0), Moment(0));
        let seen: Vec<SeenMeeting> = (0..MEETINGS_EACH).map(|n| meeting(server, n)).collect();
        cluster.observe(id, &seen, Moment(9_900_000), Moment(9_900_000));
    }
    cluster
}

fn meeting(server: u32, n: u32) -> SeenMeeting {
    let name = format!("{server}-{n}");
    SeenMeeting {
        bytes: 0..0,
        id: MeetingId::new(&name).unwrap(),
        internal: InternalId::new(&format!("i-{name}")).unwrap(),
        create_time_ms: Some(0),
        people: (server * 7 + n * 13) % 40,
        voice: 0,
        listeners: 0,
        cameras: 0,
        parent: None,
    }
}
