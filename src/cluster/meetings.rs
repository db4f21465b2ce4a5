//! The table of meetings: which server each lives on. Found by external or internal ID in one step, listed
//! by server, and summed up by server. Knows no rules; `cluster` and its other modules decide what goes in and out.

use std::collections::{HashMap, HashSet};

use crate::bbb::id::{InternalId, MeetingId, TenantId};
use crate::cluster::attendance::Attendance;
use crate::cluster::moment::Moment;
use crate::cluster::placement::cost::{Load, Share};
use crate::cluster::server::ServerId;

/// What a meeting is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Whose it is.
    pub tenant: TenantId,
    /// What its front end calls it.
    pub id: MeetingId,
}

/// The right to make one meeting; held by one create at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimId(pub u64);

/// How sure it is that a meeting exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A create is under way.
    Claimed(ClaimId),
    /// A create was sent and not answered: the server may have made the meeting.
    Doubtful,
    /// The server said so.
    Running,
    /// The server confirmed an `end`; gone as soon as the server no longer lists it.
    Ending,
}

/// A running meeting and the server it lives on.
#[derive(Debug, Clone)]
pub struct Meeting {
    /// What it is known by.
    pub key: Key,
    /// Where it lives.
    pub server: ServerId,
    /// How sure that is.
    pub stage: Stage,
    /// Its server's ID of this incarnation, once known.
    pub internal: Option<InternalId>,
    /// When its server made it, in the server's milliseconds.
    pub create_time_ms: Option<u64>,
    /// Who is in it.
    pub attendance: Attendance,
    /// What it adds to its server's load; whoever changes what that follows from sets it anew.
    pub share: Share,
    /// The meeting it is a breakout room of.
    pub parent: Option<InternalId>,
    /// Since when it is known on this server. What another server listed before then is old news.
    pub since: Moment,
    /// When the server last confirmed that it exists, or it was claimed. Answers that were asked for
    /// before that moment say nothing about its absence.
    pub confirmed: Moment,
    /// Successful answers in a row that did not know it.
    pub absences: u8,
    /// Repeated creates on their way to its server. Each may bring it back to life, so while there are any
    /// its absence means nothing.
    pub repeats: u32,
    /// Whether the store, if there is one, has been told of it.
    pub stored: bool,
}

impl Meeting {
    /// One that nobody has seen yet: a create of it is under way, or is remembered.
    pub(crate) fn begun(
        key: Key,
        server: ServerId,
        stage: Stage,
        (attendance, share): (Attendance, Share),
        now: Moment,
    ) -> Self {
        Self {
            key,
            server,
            stage,
            internal: None,
            create_time_ms: None,
            attendance,
            share,
            parent: None,
            since: now,
            confirmed: now,
            absences: 0,
            repeats: 0,
            stored: true,
        }
    }
}

/// A place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Row(u64);

/// All meetings.
#[derive(Debug, Default)]
pub struct Meetings {
    rows: HashMap<Row, Meeting>,
    by_key: HashMap<Key, Row>,
    by_internal: HashMap<InternalId, Row>,
    by_server: HashMap<ServerId, HashSet<Row>>,
    /// The sum of the shares by server, so that placing costs nothing per meeting. Server numbers are dense.
    loads: Vec<Load>,
    next: u64,
}

impl Meetings {
    /// The meeting with that external ID, else the one with that internal ID: servers take both in every
    /// `meetingID` parameter (`bbb-api.md` 9.3). Prefixes, which servers take too, are refused on purpose.
    pub fn find(&self, key: &Key) -> Option<&Meeting> {
        let row = self.by_key.get(key).or_else(|| {
            let internal = InternalId::new(key.id.as_str())?;
            self.by_internal.get(&internal).filter(|row| self.tenant_of(**row) == Some(key.tenant))
        })?;
        self.rows.get(row)
    }

    fn tenant_of(&self, row: Row) -> Option<TenantId> {
        self.rows.get(&row).map(|meeting| meeting.key.tenant)
    }

    /// The meeting of that incarnation.
    pub fn find_internal(&self, internal: &InternalId) -> Option<&Meeting> {
        self.rows.get(self.by_internal.get(internal)?)
    }

    /// Puts `meeting` in, in place of one with the same key.
    pub fn put(&mut self, meeting: Meeting) {
        self.remove(&meeting.key);
        let row = Row(self.next);
        self.next += 1;
        self.by_key.insert(meeting.key.clone(), row);
        if let Some(internal) = &meeting.internal {
            self.by_internal.insert(internal.clone(), row);
        }
        self.by_server.entry(meeting.server).or_default().insert(row);
        self.load_mut(meeting.server).add(&meeting.share);
        self.rows.insert(row, meeting);
    }

    /// Changes the meeting of `key` and keeps the look-ups true.
    pub fn change(&mut self, key: &Key, change: impl FnOnce(&mut Meeting)) {
        let Some(row) = self.by_key.get(key).copied() else { return };
        let Some(meeting) = self.rows.get_mut(&row) else { return };
        let mut changed = meeting.clone();
        change(&mut changed);
        if (changed.server, &changed.internal) == (meeting.server, &meeting.internal) {
            let (server, share) = (changed.server, changed.share);
            let before = std::mem::replace(meeting, changed).share;
            let load = self.load_mut(server);
            load.take(&before);
            load.add(&share);
        } else {
            // `put` takes the old row out by what it still says.
            self.put(changed);
        }
    }

    /// Takes the meeting of `key` out.
    pub fn remove(&mut self, key: &Key) -> Option<Meeting> {
        let row = self.by_key.remove(key)?;
        let meeting = self.rows.remove(&row)?;
        if let Some(internal) = &meeting.internal
            && self.by_internal.get(internal) == Some(&row)
        {
            self.by_internal.remove(internal);
        }
        if let Some(rows) = self.by_server.get_mut(&meeting.server) {
            rows.remove(&row);
        }
        self.load_mut(meeting.server).take(&meeting.share);
        Some(meeting)
    }

    /// What the meetings on `server` amount to.
    pub fn load(&self, server: ServerId) -> Load {
        self.loads.get(server.0 as usize).copied().unwrap_or_default()
    }

    fn load_mut(&mut self, server: ServerId) -> &mut Load {
        let index = server.0 as usize;
        if self.loads.len() <= index {
            self.loads.resize(index + 1, Load::default());
        }
        &mut self.loads[index]
    }

    /// The meetings on `server`, in no order.
    pub fn on(&self, server: ServerId) -> impl Iterator<Item = &Meeting> {
        self.by_server.get(&server).into_iter().flatten().filter_map(|row| self.rows.get(row))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Meeting> {
        self.rows.values()
    }

    /// Panics unless every look-up agrees with every row; for tests and the simulation.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        assert_eq!(self.by_key.len(), self.rows.len());
        let listed: usize = self.by_server.values().map(HashSet::len).sum();
        assert_eq!(listed, self.rows.len());
        for (row, meeting) in &self.rows {
            assert_eq!(self.by_key.get(&meeting.key), Some(row));
            assert!(self.by_server[&meeting.server].contains(row));
        }
        for server in (0..self.loads.len()).map(|server| ServerId(server as u32)) {
            let mut sum = Load::default();
            self.on(server).for_each(|meeting| sum.add(&meeting.share));
            assert_eq!(self.load(server), sum);
        }
        for (internal, row) in &self.by_internal {
            assert_eq!(self.rows[row].internal.as_ref(), Some(internal));
        }
    }
}
