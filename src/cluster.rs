//! What is known of servers and meetings, and what follows from it. Pure: no clock, socket, task or file.
//!
//! Invariants: a meeting is on one server; only a server's own answers, or an operator, take a meeting out
//! (never a failed probe); at most one create holds the claim on an ID.

pub mod attendance;
pub mod claim;
pub mod drain;
pub mod health;
pub mod meetings;
pub mod moment;
pub mod observe;
mod place;
pub mod placement;
pub mod recall;
pub mod roster;
pub mod server;
#[cfg(test)]
mod simulation;
pub mod wish;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::bbb::id::{MeetingId, TenantId};
use crate::cluster::claim::Claims;
use crate::cluster::health::{Health, Hysteresis, Pulse};
use crate::cluster::meetings::{Key, Meeting, Meetings};
use crate::cluster::moment::Moment;
use crate::cluster::placement::Placement;
use crate::cluster::placement::cost::{Load, Weights};
use crate::cluster::placement::explain::Explanations;
use crate::cluster::placement::foresight::Foresight;
use crate::cluster::placement::sizes::{SizeRecords, Sizes};
use crate::cluster::recall::Recalled;
use crate::cluster::server::{Mode, ServerId, ServerSpec};

/// The numbers that decide; operators set them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// When probes change a server's health.
    pub hysteresis: Hysteresis,
    /// How long a server must be `Down` without a break before its meetings count as lost, so that their
    /// next create is placed anew. `None`: never.
    pub failover_after: Option<Duration>,
    /// How long a server that is new or back takes fewer meetings than its load would let it.
    pub slow_start: Duration,
    /// Whether creates that ask for no tag may use tagged servers when there are no others.
    pub all_tagged_open: bool,
    /// What a meeting costs.
    pub weights: Weights,
}

/// A server and what is known of it.
#[derive(Debug)]
pub struct Member {
    /// As configured.
    pub spec: Arc<ServerSpec>,
    /// As operators set it.
    pub mode: Mode,
    /// The mode it had, or was set to since, if it is no longer configured and only stays for its meetings.
    pub leaving: Option<Mode>,
    /// As probes see it.
    pub pulse: Pulse,
    /// When the newest list that was taken in was asked for.
    pub heard: Moment,
}

/// Servers and meetings.
pub struct Cluster {
    rules: Rules,
    members: BTreeMap<ServerId, Member>,
    next_server: u32,
    meetings: Meetings,
    claims: Claims,
    recalled: Recalled,
    placement: Box<dyn Placement>,
    foresight: Foresight,
    explanations: Explanations,
}

impl Cluster {
    /// One without servers.
    pub fn new(rules: Rules, placement: Box<dyn Placement>) -> Self {
        Self {
            rules,
            members: BTreeMap::new(),
            next_server: 0,
            meetings: Meetings::default(),
            claims: Claims::default(),
            recalled: Recalled::default(),
            placement,
            foresight: Foresight::new(rules.weights),
            explanations: Explanations::default(),
        }
    }

    /// Adds a server that nobody has asked yet; it takes meetings after its first good probe.
    pub fn add_server(&mut self, spec: Arc<ServerSpec>, now: Moment) -> ServerId {
        let id = ServerId(self.next_server);
        self.next_server += 1;
        let (pulse, heard) = (Pulse::unknown(now), Moment::default());
        let member = Member { spec, mode: Mode::Serve, leaving: None, pulse, heard };
        self.members.insert(id, member);
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

    /// What the meetings on `server` amount to, reservations included.
    pub fn load(&self, server: ServerId) -> Load {
        self.meetings.load(server)
    }

    /// The last decisions and their reasons.
    pub fn explanations(&self) -> &Explanations {
        &self.explanations
    }

    /// What was learned of the sizes of meetings.
    pub fn sizes(&self) -> &Sizes {
        self.foresight.sizes()
    }

    /// Takes in sizes that were learned before a restart.
    pub fn import_sizes(&mut self, records: SizeRecords, now: Moment) {
        self.foresight.sizes_mut().import(records, now);
    }

    /// What operators set; probes do not care, new meetings do.
    pub fn set_mode(&mut self, server: ServerId, mode: Mode) {
        if let Some(member) = self.members.get_mut(&server) {
            match &mut member.leaving {
                Some(later) => *later = mode,
                None => member.mode = mode,
            }
        }
    }

    /// An operator says that a server is lost. Only one that is `Down` can be: false if it is not. Holds until
    /// the server answers again.
    pub fn give_up(&mut self, server: ServerId) -> bool {
        self.members.get_mut(&server).is_some_and(|member| member.pulse.give_up())
    }

    /// Whether the meetings of `server` count as lost: it has been `Down` for too long without a break, an
    /// operator says so, or it is no longer configured.
    pub(crate) fn is_lost(&self, server: ServerId, now: Moment) -> bool {
        let Some(member) = self.members.get(&server) else { return true };
        let down_for = now.since(member.pulse.since());
        let too_long = self.rules.failover_after.is_some_and(|after| down_for >= after);
        member.pulse.health() == Health::Down && (too_long || member.pulse.is_given_up())
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
    use crate::cluster::placement::Policy;
    use crate::cluster::placement::capacity::Capacity;
    use crate::cluster::server::ServerName;

    pub(crate) const TENANT: TenantId = TenantId::DEFAULT;

    pub(crate) fn spec(name: &str) -> ServerSpec {
        ServerSpec {
            name: ServerName::new(name).unwrap(),
            url: ApiUrl::parse(&format!("http://{name}.test")).unwrap(),
            secret: Secret::new(name).unwrap(),
            algorithm: Algorithm::Sha256,
            weight: 1.0,
            capacity: Capacity::default(),
            tags: Vec::new(),
        }
    }

    pub(crate) fn rules() -> Rules {
        Rules {
            hysteresis: Hysteresis { down_after: 3, up_after: 2 },
            failover_after: Some(Duration::from_secs(180)),
            slow_start: Duration::from_secs(300),
            all_tagged_open: true,
            weights: Weights::default(),
        }
    }

    /// These servers, `Up` and empty at moment 1; server 0 is the first.
    pub(crate) fn of(specs: Vec<ServerSpec>, policy: Policy, rules: Rules) -> Cluster {
        let mut cluster = Cluster::new(rules, policy.placement(1.0));
        for spec in specs {
            let server = cluster.add_server(Arc::new(spec), Moment(0));
            cluster.observe(server, &[], Moment(0), Moment(1));
        }
        cluster
    }

    /// `count` servers that nobody has asked yet.
    pub(crate) fn unknown(count: u32) -> Cluster {
        let mut cluster = Cluster::new(rules(), Policy::RoundRobin.placement(1.0));
        for number in 1..=count {
            cluster.add_server(Arc::new(spec(&format!("bbb{number}"))), Moment(0));
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
            voice: 0,
            listeners: 0,
            cameras: 0,
            parent: None,
        }
    }
}
