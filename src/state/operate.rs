//! What operators do to servers: take them out of use and back, say that one is lost. Nothing here ends a meeting,
//! and no probe undoes it (design rule 1).

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::clock;
use crate::cluster::drain::Drain;
use crate::cluster::health::Health;
use crate::cluster::server::{Mode, ServerId, ServerName};
use crate::state::State;
use crate::state::events::{Event, Kind};
use crate::store::modes::StoredMode;

/// Why nothing was done; reads alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such server.
    #[error("there is no server called {0}; the servers are {1}")]
    NoServer(String, String),
    /// What answers is not lost.
    #[error("{0} answers, so its {1} meetings are not lost: drain it, and they end where they are")]
    Alive(String, usize),
}

/// A server as operators see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Its number in this run.
    pub server: ServerId,
    /// What it is called.
    pub name: ServerName,
    /// What operators set.
    pub mode: Mode,
    /// Whether it is no longer configured and stays for its meetings only.
    pub leaving: bool,
    /// What probes see.
    pub health: Health,
    /// For how long, in seconds.
    pub for_s: u64,
    /// Meetings on it, breakout rooms included.
    pub meetings: usize,
    /// People in them.
    pub people: u64,
    /// Of those with a microphone.
    pub voice: u64,
    /// Cameras.
    pub cameras: u64,
    /// People in the largest one.
    pub largest: u32,
    /// What is expected to be there soon, per weight: what placement goes by.
    pub load: f64,
    /// Its tags.
    pub tags: Vec<String>,
    /// If it is being drained: how.
    pub drain: Option<Drain>,
}

impl Standing {
    /// Whether a drain has reached its end.
    pub fn is_drained(&self) -> bool {
        self.drain.is_some() && self.meetings == 0
    }

    /// Whether a drain should have ended by now.
    pub fn is_overdue(&self, now_unix_s: u64) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.is_over(now_unix_s)) && self.meetings > 0
    }
}

/// Drains under way.
#[derive(Debug, Default)]
pub(super) struct Drains(Mutex<HashMap<ServerId, Drain>>);

impl Drains {
    pub(super) fn forget(&self, server: ServerId) {
        self.0.lock().remove(&server);
    }
}

impl State {
    /// Keeps in memory that something happened. Whoever calls this has logged it.
    pub fn note(&self, kind: Kind, server: &str, text: impl Into<String>) {
        let (server, text) = (server.to_owned(), text.into());
        self.events.add(Event { at_unix_s: clock::unix_s(), kind, server, text });
    }

    /// What happened lately, the newest first.
    pub fn events(&self) -> Vec<Event> {
        self.events.newest_first()
    }

    /// Takes a server out of use or back. `drain` counts only with [`Mode::Drain`].
    pub async fn set_mode(
        &self,
        name: &str,
        mode: Mode,
        drain: Drain,
    ) -> Result<Standing, Refused> {
        let server = self.named(name)?;
        self.take_mode(server, mode, drain.clone());
        let standing = self.standing(server).ok_or_else(|| self.nobody(name))?;
        let Standing { name, meetings, people, .. } = &standing;
        let mode_name = mode.name();
        log::info!("mode set; server={name} mode={mode_name} meetings={meetings} people={people}");
        let text = format!("set to {mode_name}; {meetings} meetings, {people} people");
        self.note(Kind::Operator, name.as_str(), text);
        if let Some(store) = self.store() {
            store.set_mode(&StoredMode { server: name.clone(), mode, drain }).await;
        }
        self.drains_changed.send_replace(());
        Ok(standing)
    }

    /// The same without a word, as it was kept over a restart.
    pub fn take_mode(&self, server: ServerId, mode: Mode, drain: Drain) {
        self.cluster().set_mode(server, mode);
        let mut drains = self.drains.0.lock();
        match mode {
            Mode::Drain => drains.insert(server, drain),
            Mode::Serve | Mode::Disable => drains.remove(&server),
        };
    }

    /// Gives a server that does not answer up: its meetings are made anew elsewhere when somebody opens them,
    /// without waiting for `balance.failover_after`. How many those are.
    pub fn give_up(&self, name: &str) -> Result<usize, Refused> {
        let server = self.named(name)?;
        let meetings = {
            let mut cluster = self.cluster();
            let meetings = cluster.meetings().on(server).count();
            if !cluster.give_up(server) {
                return Err(Refused::Alive(name.to_owned(), meetings));
            }
            meetings
        };
        log::warn!("server given up by an operator; server={name} meetings={meetings}");
        self.note(Kind::Operator, name, format!("given up; {meetings} meetings are lost"));
        Ok(meetings)
    }

    /// Tells whenever a mode is set.
    pub fn watch_modes(&self) -> tokio::sync::watch::Receiver<()> {
        self.drains_changed.subscribe()
    }

    /// All servers as operators see them, in their order.
    pub fn standings(&self) -> Vec<Standing> {
        let servers: Vec<ServerId> = self.cluster().members().map(|(id, _)| id).collect();
        servers.into_iter().filter_map(|server| self.standing(server)).collect()
    }

    /// One of them.
    pub fn standing(&self, server: ServerId) -> Option<Standing> {
        let now = self.now();
        let drain = self.drains.0.lock().get(&server).cloned();
        let cluster = self.cluster();
        let member = cluster.member(server)?;
        let mut standing = Standing {
            server,
            name: member.spec.name.clone(),
            mode: member.mode,
            leaving: member.leaving.is_some(),
            health: member.pulse.health(),
            for_s: now.since(member.pulse.since()).as_secs(),
            meetings: 0,
            people: 0,
            voice: 0,
            cameras: 0,
            largest: 0,
            load: cluster.load(server).expected() / member.spec.weight,
            tags: member.spec.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            drain,
        };
        for meeting in cluster.meetings().on(server) {
            let crowd = meeting.attendance.crowd();
            standing.meetings += 1;
            // Who is in a breakout room is counted in its parent.
            if meeting.parent.is_none() {
                standing.people += u64::from(crowd.people);
                standing.largest = standing.largest.max(crowd.people);
            }
            standing.voice += u64::from(crowd.voice);
            standing.cameras += u64::from(crowd.cameras);
        }
        Some(standing)
    }

    /// Meetings that are alive on this server although another one has them: internal IDs.
    pub fn doubles(&self) -> Vec<(ServerName, Vec<String>)> {
        let doubles = self.doubles.lock();
        let cluster = self.cluster();
        let named = doubles.iter().filter_map(|(server, internal)| {
            let name = cluster.member(*server)?.spec.name.clone();
            Some((name, internal.iter().map(|id| id.as_str().to_owned()).collect()))
        });
        named.collect()
    }

    fn named(&self, name: &str) -> Result<ServerId, Refused> {
        let cluster = self.cluster();
        let found = cluster.members().find(|(_, member)| member.spec.name.as_str() == name);
        let found = found.map(|(id, _)| id);
        drop(cluster);
        found.ok_or_else(|| self.nobody(name))
    }

    fn nobody(&self, name: &str) -> Refused {
        let cluster = self.cluster();
        let names: Vec<_> =
            cluster.members().map(|(_, member)| member.spec.name.to_string()).collect();
        Refused::NoServer(name.to_owned(), names.join(", "))
    }
}
