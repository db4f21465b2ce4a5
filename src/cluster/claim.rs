//! Creates: who may make a meeting, and where. One create at a time holds the claim on an ID; the others wait
//! for its outcome (design rule 2).
//!
//! A claim moves to another server only when the caller is certain that the one before made nothing. When
//! that is not certain the meeting stays with its server, `Doubtful`, until the server tells.

use std::collections::HashMap;

use crate::bbb::id::{InternalId, KeyHash, MeetingId, TenantId};
use crate::cluster::Cluster;
use crate::cluster::attendance::Attendance;
use crate::cluster::meetings::{ClaimId, Key, Meeting, Stage};
use crate::cluster::moment::Moment;
use crate::cluster::place::Seat;
use crate::cluster::server::ServerId;
use crate::cluster::wish::Wish;

/// What a create may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Make the meeting on this server, then say how it went.
    Won(ClaimId, ServerId),
    /// The meeting exists, or may exist, there: repeat the create there and nowhere else, then say that it
    /// is over.
    Existing(ServerId),
    /// Another create of the same ID is under way: wait for its outcome, then ask again.
    Wait(ClaimId),
    /// No server may take a new meeting.
    Unavailable,
    /// No server that may has a tag that was insisted on.
    TagUnavailable,
}

/// What a server said about a meeting it made or has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Made {
    /// The server's ID of this incarnation.
    pub internal: Option<InternalId>,
    /// When, in the server's milliseconds.
    pub create_time_ms: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Claims {
    open: HashMap<ClaimId, Open>,
    next: u64,
}

#[derive(Debug, Clone)]
struct Open {
    key: Key,
    wish: Wish,
    tried: Vec<ServerId>,
}

impl Cluster {
    /// Finds the meeting's server or claims the ID on a newly chosen one; decision and reservation are one
    /// step.
    pub fn claim(&mut self, tenant: TenantId, id: &MeetingId, wish: &Wish, now: Moment) -> Claim {
        let key = Key { tenant, id: id.clone() };
        if let Some(meeting) = self.meetings.find(&key) {
            if let Stage::Claimed(by) = meeting.stage {
                return Claim::Wait(by);
            }
            if !self.is_lost(meeting.server, now) {
                let server = meeting.server;
                self.begin_repeat(tenant, id);
                return Claim::Existing(server);
            }
        } else if let Some(server) = self.recalled(tenant, id)
            && !self.is_lost(server, now)
        {
            self.believe(tenant, id, server, now);
            self.begin_repeat(tenant, id);
            return Claim::Existing(server);
        }
        let prior = self.foresight.prior(&key, wish.size_hint, now);
        let attendance = Attendance::beginning(prior, now);
        let share = self.foresight.share(&attendance, false, now);
        let seat = Seat { key: &key, tags: &wish.tags, prior, share, tried: &[] };
        let Some(server) = self.place(&seat, now) else {
            let tags = wish.tags.is_required();
            return if tags { Claim::TagUnavailable } else { Claim::Unavailable };
        };
        let claim = ClaimId(self.claims.next);
        self.claims.next += 1;
        let open = Open { key: key.clone(), wish: wish.clone(), tried: vec![server] };
        self.claims.open.insert(claim, open);
        let stage = Stage::Claimed(claim);
        self.meetings.put(Meeting::begun(key, server, stage, (attendance, share), now));
        Claim::Won(claim, server)
    }

    /// The claim's server certainly made nothing: the next server to try, none twice. `None`: all were
    /// tried; the claim stays open and must be released.
    pub fn move_claim(&mut self, claim: ClaimId, now: Moment) -> Option<ServerId> {
        let Open { key, wish, tried } = self.claims.open.get(&claim)?.clone();
        let share = self.meetings.find(&key)?.share;
        let prior = self.foresight.prior(&key, wish.size_hint, now);
        let seat = Seat { key: &key, tags: &wish.tags, prior, share, tried: &tried };
        let server = self.place(&seat, now)?;
        self.claims.open.get_mut(&claim)?.tried.push(server);
        self.meetings.change(&key, |meeting| {
            meeting.server = server;
            meeting.since = now;
        });
        Some(server)
    }

    /// The server made the meeting, or said that it has it already.
    pub fn settle(&mut self, claim: ClaimId, made: Made, now: Moment) {
        if let Some(open) = self.claims.open.remove(&claim) {
            self.confirm(&open.key, made, now);
        }
    }

    /// The server of a create in doubt has the meeting: from here on the create is one that is repeated.
    pub fn found(&mut self, claim: ClaimId, now: Moment) {
        let Some(key) = self.claims.open.get(&claim).map(|open| open.key.clone()) else { return };
        self.settle(claim, Made::default(), now);
        self.begin_repeat(key.tenant, &key.id);
    }

    /// Certainly nobody made the meeting: the claim is as if it had never been.
    pub fn release(&mut self, claim: ClaimId) {
        if let Some(open) = self.claims.open.remove(&claim) {
            let is_ours = |meeting: &Meeting| meeting.stage == Stage::Claimed(claim);
            if self.meetings.find(&open.key).is_some_and(is_ours) {
                self.meetings.remove(&open.key);
            }
        }
    }

    fn begin_repeat(&mut self, tenant: TenantId, id: &MeetingId) {
        if let Some(key) = self.find(tenant, id).map(|meeting| meeting.key.clone()) {
            self.meetings.change(&key, |meeting| meeting.repeats += 1);
        }
    }

    /// Whether the store still has to be told of the meeting; from now on it has been. Adopted meetings are
    /// told of when a create of them is repeated: from then on somebody relies on where they are.
    pub fn untold(&mut self, tenant: TenantId, id: &MeetingId) -> bool {
        let Some(meeting) = self.find(tenant, id) else { return false };
        let (key, untold) = (meeting.key.clone(), !meeting.stored);
        if untold {
            self.meetings.change(&key, |meeting| meeting.stored = true);
        }
        untold
    }

    /// A repeated create is over, answered or not. The server may have made the meeting anew with it, so
    /// only answers that were asked for later can tell of its absence.
    pub fn repeat_over(&mut self, tenant: TenantId, id: &MeetingId, server: ServerId, now: Moment) {
        let Some(key) = self.find(tenant, id).map(|meeting| meeting.key.clone()) else { return };
        self.meetings.change(&key, |meeting| {
            meeting.repeats = meeting.repeats.saturating_sub(1);
            if meeting.server == server {
                meeting.confirmed = now;
                meeting.absences = 0;
            }
        });
    }

    /// Somebody else has claimed the meeting on `server`: it is left to them there, and a create may be
    /// repeated there.
    pub fn yield_claim(&mut self, claim: ClaimId, server: ServerId, now: Moment) {
        if let Some(open) = self.claims.open.remove(&claim) {
            self.meetings.change(&open.key, |meeting| {
                meeting.server = server;
                meeting.stage = Stage::Doubtful;
                meeting.confirmed = now;
                meeting.repeats += 1;
            });
        }
    }

    /// The create was sent and its outcome is unknown: the meeting stays with the server that may have made
    /// it until that server's answers tell.
    pub fn doubt(&mut self, claim: ClaimId, now: Moment) {
        if let Some(open) = self.claims.open.remove(&claim) {
            self.meetings.change(&open.key, |meeting| {
                if meeting.stage == Stage::Claimed(claim) {
                    meeting.stage = Stage::Doubtful;
                    meeting.confirmed = now;
                }
            });
        }
    }

    /// A repeated create was answered with SUCCESS by the meeting's server.
    pub fn repeated(
        &mut self,
        tenant: TenantId,
        id: &MeetingId,
        server: ServerId,
        made: Made,
        now: Moment,
    ) {
        if let Some(meeting) = self.find(tenant, id)
            && meeting.server == server
        {
            let key = meeting.key.clone();
            self.confirm(&key, made, now);
        }
    }

    pub(crate) fn confirm(&mut self, key: &Key, made: Made, now: Moment) {
        self.reborn(key, made.internal.as_ref(), now);
        self.meetings.change(key, |meeting| {
            if made.internal.is_some() && made.internal != meeting.internal {
                meeting.since = now;
            }
            meeting.stage = Stage::Running;
            meeting.confirmed = now;
            meeting.absences = 0;
            meeting.internal = made.internal.or(meeting.internal.take());
            meeting.create_time_ms = made.create_time_ms.or(meeting.create_time_ms);
        });
    }

    /// Begins the attendance anew if the server now has another incarnation, and learns from the one before.
    pub(crate) fn reborn(&mut self, key: &Key, internal: Option<&InternalId>, now: Moment) {
        let Some(meeting) = self.meetings.find(key) else { return };
        let (Some(before), Some(after)) = (&meeting.internal, internal) else { return };
        if before == after || meeting.parent.is_some() {
            return;
        }
        let key = meeting.key.clone();
        self.foresight.learn(meeting, now);
        let attendance = Attendance::beginning(self.foresight.prior(&key, None, now), now);
        let share = self.foresight.share(&attendance, false, now);
        self.meetings.change(&key, |meeting| {
            meeting.attendance = attendance;
            meeting.share = share;
        });
    }

    /// Somebody was sent to the meeting: counts at once, not only when a poll shows it.
    pub fn joined(&mut self, tenant: TenantId, id: &MeetingId, now: Moment) {
        let Some(meeting) = self.find(tenant, id) else { return };
        let key = meeting.key.clone();
        let foresight = &self.foresight;
        self.meetings.change(&key, |meeting| {
            meeting.attendance.join(now);
            let is_room = meeting.parent.is_some();
            meeting.share = foresight.share(&meeting.attendance, is_room, now);
        });
    }

    /// The newest claim that was given out.
    pub fn last_claim(&self) -> ClaimId {
        ClaimId(self.claims.next.saturating_sub(1))
    }

    /// The creates under way: the claim, the meeting, and where it is being made.
    pub fn under_way(&self) -> Vec<(ClaimId, KeyHash, ServerId)> {
        let open = self.claims.open.iter();
        open.filter_map(|(claim, Open { key, .. })| {
            let server = self.meetings.find(key)?.server;
            Some((*claim, KeyHash::of(key.tenant, &key.id), server))
        })
        .collect()
    }

    /// How many creates are under way.
    pub fn open_claims(&self) -> usize {
        self.claims.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::testing::{TENANT, id, seen, unknown, up};

    #[track_caller]
    fn won(claim: Claim) -> (ClaimId, ServerId) {
        let Claim::Won(claim, server) = claim else { panic!("{claim:?}") };
        (claim, server)
    }

    #[test]
    fn one_create_claims_and_the_others_wait_for_it() {
        let mut cluster = up(2);
        let (claim, server) = won(cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(2)));
        assert_eq!(
            cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(2)),
            Claim::Wait(claim)
        );
        cluster.settle(claim, Made::default(), Moment(3));
        assert_eq!(
            cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(4)),
            Claim::Existing(server)
        );
        assert_eq!(cluster.open_claims(), 0);
    }

    #[test]
    fn a_released_claim_leaves_nothing() {
        let mut cluster = up(1);
        let (claim, _) = won(cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(2)));
        cluster.release(claim);
        assert_eq!((cluster.meetings().count(), cluster.open_claims()), (0, 0));
        won(cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(2)));
    }

    #[test]
    fn a_claim_tries_each_server_once() {
        let mut cluster = up(3);
        let (claim, first) = won(cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(2)));
        let mut tried = vec![first];
        while let Some(next) = cluster.move_claim(claim, Moment(2)) {
            assert!(!tried.contains(&next));
            assert_eq!(cluster.find(TENANT, &id("m")).unwrap().server, next);
            tried.push(next);
        }
        assert_eq!(tried.len(), 3);
        cluster.meetings().check_invariants();
    }

    #[test]
    fn a_doubtful_meeting_stays_with_its_server() {
        let mut cluster = up(2);
        let (claim, server) = won(cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(2)));
        cluster.doubt(claim, Moment(3));
        for _ in 0..5 {
            cluster.failed(server, Moment(4));
        }
        assert_eq!(
            cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(5)),
            Claim::Existing(server)
        );
    }

    #[test]
    fn meetings_of_a_dead_server_are_placed_anew_only_after_the_set_time() {
        let mut cluster = up(2);
        cluster.observe(ServerId(0), &[seen("m", "i-1")], Moment(2), Moment(2));
        for _ in 0..3 {
            cluster.failed(ServerId(0), Moment(1_000));
        }
        let claim = cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(180_999));
        assert_eq!(claim, Claim::Existing(ServerId(0)));
        let (_, server) = won(cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(181_000)));
        assert_eq!(server, ServerId(1));
    }

    #[test]
    fn suspect_servers_are_used_only_if_none_is_up_and_unknown_ones_never() {
        let mut cluster = unknown(2);
        assert_eq!(
            cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(1)),
            Claim::Unavailable
        );
        cluster.observe(ServerId(0), &[], Moment(1), Moment(1));
        cluster.failed(ServerId(0), Moment(2));
        assert_eq!(
            won(cluster.claim(TENANT, &id("a"), &Wish::default(), Moment(3))).1,
            ServerId(0)
        );
        cluster.observe(ServerId(1), &[], Moment(3), Moment(3));
        assert_eq!(
            won(cluster.claim(TENANT, &id("b"), &Wish::default(), Moment(4))).1,
            ServerId(1)
        );
        assert_eq!(
            won(cluster.claim(TENANT, &id("c"), &Wish::default(), Moment(4))).1,
            ServerId(1)
        );
    }

    #[test]
    fn a_repeated_create_may_bring_another_incarnation() {
        let mut cluster = up(1);
        cluster.observe(ServerId(0), &[seen("m", "i-1")], Moment(2), Moment(2));
        let made = Made { internal: InternalId::new("i-2"), create_time_ms: Some(18) };
        cluster.repeated(TENANT, &id("m"), ServerId(0), made, Moment(3));
        let meeting = cluster.find(TENANT, &id("i-2")).unwrap();
        assert_eq!((meeting.key.id.as_str(), meeting.create_time_ms), ("m", Some(18)));
        assert!(cluster.find(TENANT, &id("i-1")).is_none());
        cluster.meetings().check_invariants();
    }
}
