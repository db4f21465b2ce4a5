//! The placement of production behind the interface of a replay: the same cluster, told the same things.

use std::sync::Arc;

use crate::bbb::checksum::Algorithm;
use crate::bbb::id::{InternalId, MeetingId, TenantId};
use crate::bbb::meetings::SeenMeeting;
use crate::bbb::secret::Secret;
use crate::bbb::url::ApiUrl;
use crate::cluster::Cluster;
use crate::cluster::claim::{Claim, Made};
use crate::cluster::moment::Moment;
use crate::cluster::placement::capacity::Capacity;
use crate::cluster::server::{ServerId, ServerName, ServerSpec};
use crate::cluster::wish::Wish;
use crate::config::settings::{BalanceSettings, ProbeSettings};
use crate::replay::{Balancer, Room};

/// Servers have been up for this long when a trace begins, so that nothing starts slowly.
const UP_BEFORE_MS: u64 = 24 * 3_600_000;

/// A cluster in virtual time.
pub struct Ours {
    cluster: Cluster,
    tenant: TenantId,
}

impl Ours {
    /// One with these servers, all up and empty for a long time.
    pub fn new(
        specs: impl IntoIterator<Item = ServerSpec>,
        balance: &BalanceSettings,
        probe: &ProbeSettings,
    ) -> Self {
        let placement = balance.policy.placement(balance.weights.two_giants);
        let mut cluster = Cluster::new(balance.rules(probe), placement);
        for spec in specs {
            let server = cluster.add_server(Arc::new(spec), Moment(0));
            cluster.observe(server, &[], Moment(0), Moment(0));
        }
        Self { cluster, tenant: TenantId::DEFAULT }
    }

    /// What it knows.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

/// `count` servers that are all the same, `bbb1` to `bbbN`; nobody ever connects to them.
pub fn specs(count: usize) -> Vec<ServerSpec> {
    let spec = |number| {
        let name = format!("bbb{number}");
        Some(ServerSpec {
            url: ApiUrl::parse(&format!("http://{name}.invalid")).ok()?,
            name: ServerName::new(&name).ok()?,
            secret: Secret::new("unused").ok()?,
            algorithm: Algorithm::default(),
            weight: 1.0,
            capacity: Capacity::default(),
            tags: Vec::new(),
        })
    };
    (1..=count).filter_map(spec).collect()
}

fn moment(now_ms: u64) -> Moment {
    Moment(UP_BEFORE_MS + now_ms)
}

fn internal(meeting: usize, incarnation: u32) -> Option<InternalId> {
    InternalId::new(&format!("{meeting}-{incarnation}"))
}

impl Balancer for Ours {
    fn create(
        &mut self,
        meeting: usize,
        name: &str,
        incarnation: u32,
        now_ms: u64,
    ) -> Option<usize> {
        let id = MeetingId::new(name)?;
        let now = moment(now_ms);
        let made = Made { internal: internal(meeting, incarnation), create_time_ms: Some(now_ms) };
        match self.cluster.claim(self.tenant, &id, &Wish::default(), now) {
            Claim::Won(claim, server) => {
                self.cluster.settle(claim, made, now);
                Some(server.0 as usize)
            }
            Claim::Existing(server) => {
                self.cluster.repeated(self.tenant, &id, server, made, now);
                self.cluster.repeat_over(self.tenant, &id, server, now);
                Some(server.0 as usize)
            }
            Claim::Wait(_) | Claim::Unavailable | Claim::TagUnavailable => None,
        }
    }

    fn join(&mut self, _meeting: usize, name: &str, now_ms: u64) {
        if let Some(id) = MeetingId::new(name) {
            self.cluster.joined(self.tenant, &id, moment(now_ms));
        }
    }

    fn poll(&mut self, server: usize, rooms: &[Room<'_>], now_ms: u64) {
        let seen: Vec<SeenMeeting> = rooms
            .iter()
            .filter_map(|room| {
                Some(SeenMeeting {
                    bytes: 0..0,
                    id: MeetingId::new(room.name)?,
                    internal: internal(room.meeting, room.incarnation)?,
                    create_time_ms: Some(room.created_ms),
                    people: room.people,
                    voice: 0,
                    listeners: 0,
                    cameras: room.cameras,
                    parent: None,
                })
            })
            .collect();
        let now = moment(now_ms);
        self.cluster.observe(ServerId(server as u32), &seen, now, now);
    }
}
