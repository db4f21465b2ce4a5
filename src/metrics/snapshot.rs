//! The cluster at one moment, in plain values: taken under the lock, used without it.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::cluster::health::Health;
use crate::cluster::moment::Moment;
use crate::cluster::placement::cost::Crowd;
use crate::cluster::server::Mode;

/// A server.
#[derive(Debug, Clone)]
pub struct Server {
    /// What operators call it.
    pub name: String,
    /// As probes see it.
    pub health: Health,
    /// For how long it has been that.
    pub health_for: Duration,
    /// As operators set it.
    pub mode: Mode,
    /// Whether it is no longer configured and only stays for its meetings.
    pub is_leaving: bool,
    /// How much it carries relative to the others.
    pub weight: f64,
    /// What creates may ask for.
    pub tags: Vec<String>,
    /// What its meetings cost, those expected included, relative to its weight.
    pub load: f64,
    /// People who are expected and not there yet.
    pub reserved_seats: f64,
    /// The age of the newest list of its meetings; `None` before the first.
    pub heard: Option<Duration>,
    /// Who is in each of its meetings, as its last list said.
    pub rooms: Vec<Crowd>,
}

impl Server {
    /// Over all its meetings.
    pub fn sum(&self, of: fn(&Crowd) -> u32) -> u64 {
        self.rooms.iter().map(|room| u64::from(of(room))).sum()
    }

    /// Over all its meetings.
    pub fn largest(&self) -> u32 {
        self.rooms.iter().map(|room| room.people).max().unwrap_or_default()
    }

    /// Whether it may take a new meeting.
    pub fn is_usable(&self) -> bool {
        self.health != Health::Down && self.mode == Mode::Serve && !self.is_leaving
    }
}

/// All servers as they are now.
pub fn take(cluster: &Cluster, now: Moment) -> Vec<Server> {
    let server = |(id, member): (_, &crate::cluster::Member)| {
        let load = cluster.load(id);
        let rooms = cluster.meetings().on(id);
        let rooms: Vec<Crowd> = rooms
            .map(|meeting| Crowd {
                people: meeting.attendance.people(),
                ..meeting.attendance.crowd()
            })
            .collect();
        let people: f64 = rooms.iter().map(|room| f64::from(room.people)).sum();
        Server {
            name: member.spec.name.to_string(),
            health: member.pulse.health(),
            health_for: now.since(member.pulse.since()),
            mode: member.leaving.unwrap_or(member.mode),
            is_leaving: member.leaving.is_some(),
            weight: member.spec.weight,
            tags: member.spec.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            load: load.cost() / member.spec.weight,
            reserved_seats: (load.expected() - people).max(0.0),
            heard: member.pulse.was_ever_seen().then(|| now.since(member.heard)),
            rooms,
        }
    };
    cluster.members().map(server).collect()
}
