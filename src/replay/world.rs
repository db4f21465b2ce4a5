//! What really happens during a replay: who is in which meeting on which server, and the record of it.

use crate::replay::trace::{Event, Kind, Trace};
use crate::replay::{Balancer, Room, Setup};

/// What came of a replay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Every create and where it went.
    pub decisions: Vec<Placed>,
    /// The load of each server whenever it changed, in order of time.
    pub load: Vec<LoadAt>,
    /// The most people on one server.
    pub peak: Peak,
    /// The most people on each server.
    pub peaks: Vec<u32>,
    /// The most people on all servers together, divided by the servers: no scheduler gets below.
    pub even: f64,
    /// Creates that no server took.
    pub creates_refused: u32,
    /// People who wanted into a meeting that did not run.
    pub joins_refused: u32,
    /// The most meetings on each server.
    pub meetings_peaks: Vec<u32>,
}

/// A create.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    /// When, as in the trace.
    pub at_s: f64,
    /// Its place among the names of the trace.
    pub meeting: usize,
    /// Where it went; `None`: it was refused.
    pub server: Option<usize>,
}

/// A server at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadAt {
    /// When, as in the trace.
    pub at_s: f64,
    /// Which.
    pub server: usize,
    /// People on it.
    pub people: u32,
    /// Meetings on it.
    pub meetings: u32,
}

/// The most people on one server.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Peak {
    /// How many.
    pub people: u32,
    /// Where.
    pub server: usize,
    /// When, as in the trace.
    pub at_s: f64,
}

/// Everything as it is at one moment.
pub(crate) struct World<'t> {
    trace: &'t Trace,
    measured_from_ms: u64,
    rooms: Vec<Option<Running>>,
    incarnations: Vec<u32>,
    servers: Vec<Server>,
    running: usize,
    now_s: f64,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    server: usize,
    incarnation: u32,
    created_ms: u64,
    people: u32,
    cameras: u32,
}

#[derive(Debug, Clone, Default)]
struct Server {
    meetings: Vec<usize>,
    people: u32,
    changed: bool,
}

impl<'t> World<'t> {
    pub(crate) fn new(trace: &'t Trace, setup: &Setup) -> Self {
        let start_s = trace.events.first().map_or(0.0, |event| event.at_s);
        let server = Server { changed: true, ..Server::default() };
        let zeros = vec![0; setup.servers];
        Self {
            trace,
            measured_from_ms: setup.measured_from_ms,
            rooms: vec![None; trace.names.len()],
            incarnations: vec![0; trace.names.len()],
            servers: vec![server; setup.servers],
            running: 0,
            now_s: start_s,
            outcome: Outcome { peaks: zeros.clone(), meetings_peaks: zeros, ..Outcome::default() },
        }
    }

    /// Whether no meeting runs.
    pub(crate) fn is_quiet(&self) -> bool {
        self.running == 0
    }

    pub(crate) fn poll(&self, server: usize, now_ms: u64, balancer: &mut dyn Balancer) {
        let Some(Server { meetings, .. }) = self.servers.get(server) else { return };
        let rooms: Vec<Room<'_>> = meetings.iter().filter_map(|at| self.room(*at)).collect();
        balancer.poll(server, &rooms, now_ms);
    }

    fn room(&self, meeting: usize) -> Option<Room<'t>> {
        let Running { incarnation, created_ms, people, cameras, .. } =
            (*self.rooms.get(meeting)?)?;
        let name = self.trace.names.get(meeting)?;
        Some(Room { meeting, name, incarnation, created_ms, people, cameras })
    }

    pub(crate) fn happen(&mut self, event: &Event, balancer: &mut dyn Balancer) {
        if event.at_s > self.now_s {
            self.record();
            self.now_s = event.at_s;
        }
        match event.kind {
            Kind::Create => self.create(event, balancer),
            Kind::Join { people, cameras } => self.join(event, people, cameras, balancer),
            Kind::Leave { people, cameras } => self.leave(event.meeting, people, cameras),
            Kind::End => self.end(event.meeting),
        }
    }

    fn create(&mut self, event: &Event, balancer: &mut dyn Balancer) {
        let meeting = event.meeting;
        let runs = self.rooms.get(meeting).copied().flatten();
        let (Some(name), Some(incarnation)) =
            (self.trace.names.get(meeting), self.incarnations.get_mut(meeting))
        else {
            return;
        };
        let next = *incarnation + u32::from(runs.is_none());
        let server = balancer
            .create(meeting, name, next, event.at_ms)
            .filter(|server| *server < self.servers.len());
        // One that runs is where it is, whoever asks for it again.
        let server = runs.map(|room| room.server).or(server);
        self.outcome.decisions.push(Placed { at_s: event.at_s, meeting, server });
        let Some(server) = server else {
            self.outcome.creates_refused += 1;
            return;
        };
        if runs.is_some() {
            return;
        }
        *incarnation = next;
        let created_ms = event.at_ms;
        let room = Running { server, incarnation: next, created_ms, people: 0, cameras: 0 };
        if let Some(slot) = self.rooms.get_mut(meeting) {
            *slot = Some(room);
        }
        self.running += 1;
        if let Some(server) = self.servers.get_mut(server) {
            server.meetings.push(meeting);
            server.changed = true;
        }
    }

    fn join(&mut self, event: &Event, people: u32, cameras: u32, balancer: &mut dyn Balancer) {
        let name = self.trace.names.get(event.meeting);
        let room = self.rooms.get_mut(event.meeting).and_then(Option::as_mut);
        let (Some(room), Some(name)) = (room, name) else {
            self.outcome.joins_refused += people;
            return;
        };
        room.people += people;
        room.cameras += cameras;
        if let Some(server) = self.servers.get_mut(room.server) {
            server.people += people;
            server.changed = true;
        }
        for _ in 0..people {
            balancer.join(event.meeting, name, event.at_ms);
        }
    }

    fn leave(&mut self, meeting: usize, people: u32, cameras: u32) {
        let Some(room) = self.rooms.get_mut(meeting).and_then(Option::as_mut) else { return };
        let people = people.min(room.people);
        room.people -= people;
        room.cameras = room.cameras.saturating_sub(cameras);
        if let Some(server) = self.servers.get_mut(room.server) {
            server.people -= people;
            server.changed = true;
        }
    }

    fn end(&mut self, meeting: usize) {
        let Some(room) = self.rooms.get_mut(meeting).and_then(Option::take) else { return };
        self.running -= 1;
        if let Some(server) = self.servers.get_mut(room.server) {
            server.people -= room.people;
            server.meetings.retain(|other| *other != meeting);
            server.changed = true;
        }
    }

    /// Notes what has changed by the end of this moment.
    fn record(&mut self) {
        let at_s = self.now_s;
        let measured = at_s * 1000.0 >= self.measured_from_ms as f64;
        for (id, server) in self.servers.iter_mut().enumerate() {
            if !std::mem::take(&mut server.changed) {
                continue;
            }
            let (people, meetings) = (server.people, server.meetings.len() as u32);
            self.outcome.load.push(LoadAt { at_s, server: id, people, meetings });
            if measured {
                let (most, most_meetings) =
                    (&mut self.outcome.peaks[id], &mut self.outcome.meetings_peaks[id]);
                *most = (*most).max(people);
                *most_meetings = (*most_meetings).max(meetings);
                if people > self.outcome.peak.people {
                    self.outcome.peak = Peak { people, server: id, at_s };
                }
            }
        }
        if measured {
            let all: u32 = self.servers.iter().map(|server| server.people).sum();
            let even = f64::from(all) / self.servers.len().max(1) as f64;
            self.outcome.even = self.outcome.even.max(even);
        }
    }

    pub(crate) fn finish(mut self) -> Outcome {
        self.record();
        self.outcome
    }
}
