//! What is known of servers and meetings, and what follows from it. Pure: no clock, socket, task or file.
//!
//! Invariants: a meeting is on one server; only a server's own answers, or an operator, take a meeting out
//! (never a failed probe); at most one create holds the claim on an ID.

pub mod claim;
pub mod health;
pub mod meetings;
pub mod moment;
pub mod observe;
pub mod placement;
pub mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::bbb::id::{MeetingId, TenantId};
use crate::cluster::claim::Claims;
use crate::cluster::health::{Health, Hysteresis, Pulse};
use crate::cluster::meetings::{Key, Meeting, Meetings};
use crate::cluster::moment::Moment;
use crate::cluster::placement::{Candidate, Placement};
use crate::cluster::server::{Mode, ServerId, ServerSpec};

/// The numbers that decide; operators set them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// When probes change a server's health.
    pub hysteresis: Hysteresis,
    /// How long a server must be `Down` without a break before its meetings count as lost, so that their
    /// next create is placed anew. `None`: never.
    pub failover_after: Option<Duration>,
}

/// A server and what is known of it.
#[derive(Debug)]
pub struct Member {
    /// As configured.
    pub spec: Arc<ServerSpec>,
    /// As operators set it.
    pub mode: Mode,
    /// As probes see it.
    pub pulse: Pulse,
    /// People on it at its last good probe.
    pub people: u32,
}

/// Servers and meetings.
pub struct Cluster {
    rules: Rules,
    members: BTreeMap<ServerId, Member>,
    meetings: Meetings,
    claims: Claims,
    placement: Box<dyn Placement>,
}

impl Cluster {
    /// One without servers.
    pub fn new(rules: Rules, placement: Box<dyn Placement>) -> Self {
        Self {
            rules,
            members: BTreeMap::new(),
            meetings: Meetings::default(),
            claims: Claims::default(),
            placement,
        }
    }

    /// Adds a server that nobody has asked yet; it takes meetings after its first good probe.
    pub fn add_server(&mut self, spec: Arc<ServerSpec>, now: Moment) -> ServerId {
        let id = ServerId(self.members.keys().next_back().map_or(0, |last| last.0 + 1));
        let pulse = Pulse::unknown(now);
        self.members.insert(id, Member { spec, mode: Mode::Serve, pulse, people: 0 });
        id
    }

    /// The servers in the order they were added.
    pub fn members(&self) -> impl Iterator<Item = (ServerId, &Member)> {
        self.members.iter().map(|(id, member)| (*id, member))
    }

    /// A server.
    pub fn member(&self, server: ServerId) -> Option<&Member> {
        self.members.get(&server)
    }

    /// All meetings.
    pub fn meetings(&self) -> &Meetings {
        &self.meetings
    }

    /// The meeting that a front end calls `id`; also found by its internal ID.
    pub fn find(&self, tenant: TenantId, id: &MeetingId) -> Option<&Meeting> {
        self.meetings.find(&Key { tenant, id: id.clone() })
    }

    /// The servers that may take a new meeting, without those in `tried`: serving ones that are `Up`, or,
    /// if there is none, `Suspect` ones, because refusing everybody is worse than trying.
    fn candidates(&self, tried: &[ServerId]) -> Vec<Candidate> {
        let with = |health: Health| -> Vec<Candidate> {
            self.members()
                .filter(|(id, member)| {
                    member.mode == Mode::Serve
                        && member.pulse.health() == health
                        && !tried.contains(id)
                })
                .map(|(server, member)| Candidate { server, weight: member.spec.weight })
                .collect()
        };
        let up = with(Health::Up);
        if up.is_empty() { with(Health::Suspect) } else { up }
    }

    fn place(&mut self, tried: &[ServerId]) -> Option<ServerId> {
        let candidates = self.candidates(tried);
        self.placement.choose(&candidates)
    }

    /// Whether the meetings of `server` count as lost: it has been `Down` for too long without a break, or
    /// is no longer configured.
    fn is_lost(&self, server: ServerId, now: Moment) -> bool {
        let Some(member) = self.members.get(&server) else { return true };
        member.pulse.health() == Health::Down
            && self
                .rules
                .failover_after
                .is_some_and(|after| now.since(member.pulse.since()) >= after)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A small cluster to test the rules on.

    use super::*;
    use crate::bbb::checksum::Algorithm;
    use crate::bbb::id::InternalId;
    use crate::bbb::meetings::SeenMeeting;
    use crate::bbb::secret::Secret;
    use crate::bbb::url::ApiUrl;
    use crate::cluster::placement::RoundRobin;
    use crate::cluster::server::ServerName;

    pub(crate) const TENANT: TenantId = TenantId::DEFAULT;

    pub(crate) fn spec(name: &str) -> Arc<ServerSpec> {
        Arc::new(ServerSpec {
            name: ServerName::new(name).unwrap(),
            url: ApiUrl::parse(&format!("http://{name}.test")).unwrap(),
            secret: Secret::new(name).unwrap(),
            algorithm: Algorithm::Sha256,
            weight: 1.0,
        })
    }

    /// `count` servers that nobody has asked yet.
    pub(crate) fn unknown(count: u32) -> Cluster {
        let hysteresis = Hysteresis { down_after: 3, up_after: 2 };
        let rules = Rules { hysteresis, failover_after: Some(Duration::from_secs(180)) };
        let mut cluster = Cluster::new(rules, Box::new(RoundRobin::default()));
        for number in 1..=count {
            cluster.add_server(spec(&format!("bbb{number}")), Moment(0));
        }
        cluster
    }

    /// `count` servers that are `Up` and empty at moment 1.
    pub(crate) fn up(count: u32) -> Cluster {
        let mut cluster = unknown(count);
        for server in 0..count {
            cluster.observe(ServerId(server), &[], Moment(0), Moment(1));
        }
        cluster
    }

    pub(crate) fn id(text: &str) -> MeetingId {
        MeetingId::new(text).unwrap()
    }

    pub(crate) fn seen(text: &str, internal: &str) -> SeenMeeting {
        SeenMeeting {
            bytes: 0..0,
            id: id(text),
            internal: InternalId::new(internal).unwrap(),
            create_time_ms: Some(17),
            people: 3,
            parent: None,
        }
    }
}
