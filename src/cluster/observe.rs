//! What servers' answers teach: meetings adopted, confirmed, gone; health. A failed observation touches
//! health alone (design rule 1).

use std::collections::HashSet;

use crate::bbb::id::{InternalId, KeyHash, MeetingId, TenantId};
use crate::bbb::meetings::SeenMeeting;
use crate::cluster::Cluster;
use crate::cluster::attendance::Attendance;
use crate::cluster::health::{Change, Health};
use crate::cluster::meetings::{Key, Meeting, Stage};
use crate::cluster::moment::Moment;
use crate::cluster::server::ServerId;

/// Successful answers in a row that must not know a meeting before it is gone.
pub(crate) const ABSENCES_UNTIL_GONE: u8 = 2;

/// What one good probe changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The server's health, if it changed.
    pub change: Option<Change>,
    /// Meetings learned that this gateway did not create.
    pub adopted: usize,
    /// Meetings that are gone.
    pub gone: Vec<KeyHash>,
    /// Meetings alive here although they are known, and alive, on another server.
    pub doubled: Vec<InternalId>,
}

/// When a list was asked for and when it came, and whether it is the first of its server.
#[derive(Debug, Clone, Copy)]
struct Times {
    asked: Moment,
    now: Moment,
    first: bool,
}

impl Cluster {
    /// `server` listed its meetings in an answer to a question asked at `asked`.
    pub fn observe(
        &mut self,
        server: ServerId,
        seen: &[SeenMeeting],
        asked: Moment,
        now: Moment,
    ) -> Observed {
        let mut observed = Observed::default();
        let rule = self.rules.hysteresis;
        let Some(member) = self.members.get_mut(&server) else { return observed };
        // What runs on a server that nobody has asked yet may have begun at any time.
        let first = !member.pulse.was_ever_seen();
        observed.change = member.pulse.good(rule, now);
        // A newer list came first: what this one has beyond it is gone.
        if asked < member.heard {
            return observed;
        }
        member.heard = asked;
        let times = Times { asked, now, first };
        let mut present = HashSet::with_capacity(seen.len());
        for meeting in seen {
            let key = self.key_of(meeting);
            self.see(server, &key, meeting, times, &mut observed);
            present.insert(key);
        }
        let missing: Vec<Key> = self
            .meetings
            .on(server)
            .filter(|meeting| !present.contains(&meeting.key))
            .map(|meeting| meeting.key.clone())
            .collect();
        for key in missing {
            if self.miss(&key, server, asked, now) {
                observed.gone.push(KeyHash::of(key.tenant, &key.id));
            }
        }
        let listed = present.iter().map(|key| KeyHash::of(key.tenant, &key.id));
        observed.gone.extend(self.recalled.answered(server, listed));
        observed
    }

    /// What a listed meeting is known by: its own key if this incarnation is known, else that of the only
    /// tenant.
    fn key_of(&self, seen: &SeenMeeting) -> Key {
        match self.meetings.find_internal(&seen.internal) {
            Some(known) => known.key.clone(),
            None => Key { tenant: TenantId::DEFAULT, id: seen.id.clone() },
        }
    }

    fn see(
        &mut self,
        server: ServerId,
        key: &Key,
        seen: &SeenMeeting,
        times: Times,
        observed: &mut Observed,
    ) {
        let known = self.meetings.find(key).map(|known| (known.server, known.stage));
        match known {
            None => observed.adopted += 1,
            Some((at, stage)) if at == server => {
                self.refresh(key, stage, seen, times);
                return;
            }
            // The list was asked for before the meeting came to be where it is known now.
            Some(_) if self.is_older(key, times.asked) => return,
            // A create under way keeps its claim; its outcome, or the next poll, settles this.
            Some((_, Stage::Claimed(_))) => return,
            Some((at, Stage::Running | Stage::Ending)) if self.is_reachable(at) => {
                observed.doubled.push(seen.internal.clone());
                // The one with people in it is the one that they mean; the other is shown, not ended.
                if seen.people == 0 || !self.is_empty(key) {
                    return;
                }
            }
            // Known only as perhaps, or on a server that does not answer: the one that shows it has it.
            Some(_) => {}
        }
        let Times { asked, now, first } = times;
        let mut attendance = if first || seen.parent.is_some() {
            Attendance::default()
        } else {
            Attendance::beginning(self.foresight.prior(key, None, now), now)
        };
        attendance.polled(seen, asked, now);
        let share = self.foresight.share(&attendance, seen.parent.is_some(), now);
        self.meetings.put(Meeting {
            key: key.clone(),
            server,
            stage: Stage::Running,
            internal: Some(seen.internal.clone()),
            create_time_ms: seen.create_time_ms,
            attendance,
            share,
            parent: seen.parent.clone(),
            since: asked,
            confirmed: now,
            absences: 0,
            repeats: 0,
            stored: false,
        });
    }

    fn refresh(&mut self, key: &Key, stage: Stage, seen: &SeenMeeting, times: Times) {
        let Times { asked, now, .. } = times;
        self.reborn(key, Some(&seen.internal), now);
        let foresight = &self.foresight;
        self.meetings.change(key, |meeting| {
            let same = meeting.internal.as_ref() == Some(&seen.internal);
            meeting.attendance.polled(seen, asked, now);
            meeting.share = foresight.share(&meeting.attendance, seen.parent.is_some(), now);
            meeting.absences = 0;
            meeting.confirmed = now;
            meeting.internal = Some(seen.internal.clone());
            meeting.create_time_ms = seen.create_time_ms;
            meeting.parent.clone_from(&seen.parent);
            meeting.stage = match stage {
                // Its create is still waiting for the answer and will settle it.
                Stage::Claimed(claim) => Stage::Claimed(claim),
                // Ending meetings stay listed for a while; another incarnation is a new meeting.
                Stage::Ending if same => Stage::Ending,
                Stage::Ending | Stage::Doubtful | Stage::Running => Stage::Running,
            };
        });
    }

    fn is_older(&self, key: &Key, asked: Moment) -> bool {
        self.meetings.find(key).is_some_and(|meeting| asked <= meeting.since)
    }

    fn is_empty(&self, key: &Key) -> bool {
        self.meetings.find(key).is_some_and(|meeting| meeting.attendance.crowd().people == 0)
    }

    fn is_reachable(&self, server: ServerId) -> bool {
        self.members.get(&server).is_some_and(|member| member.pulse.health() != Health::Down)
    }

    /// `server`, asked at `asked`, answered that it does not have the meeting. True if it is gone now.
    fn miss(&mut self, key: &Key, server: ServerId, asked: Moment, now: Moment) -> bool {
        let Some(meeting) = self.meetings.find(key) else { return false };
        if meeting.server != server || meeting.confirmed >= asked || meeting.repeats > 0 {
            return false;
        }
        let gone = match meeting.stage {
            Stage::Claimed(_) => return false,
            Stage::Ending => true,
            Stage::Doubtful | Stage::Running => meeting.absences + 1 >= ABSENCES_UNTIL_GONE,
        };
        let key = meeting.key.clone();
        if gone {
            if let Some(meeting) = self.meetings.remove(&key) {
                self.foresight.learn(&meeting, now);
            }
        } else {
            self.meetings.change(&key, |meeting| meeting.absences += 1);
        }
        gone
    }

    /// The meeting's server answered a forwarded call, asked at `asked`, with its "no such meeting".
    pub fn not_found(
        &mut self,
        tenant: TenantId,
        id: &MeetingId,
        server: ServerId,
        asked: Moment,
        now: Moment,
    ) -> bool {
        self.miss(&Key { tenant, id: id.clone() }, server, asked, now)
    }

    /// The meeting's server confirmed an `end`. The row stays until the server no longer lists the meeting,
    /// because it vanishes only some time later (`bbb-api.md` 2.5).
    pub fn ended(&mut self, tenant: TenantId, id: &MeetingId, server: ServerId, now: Moment) {
        let Some(meeting) = self.find(tenant, id) else { return };
        if meeting.server != server {
            return;
        }
        let key = meeting.key.clone();
        self.meetings.change(&key, |meeting| {
            if !matches!(meeting.stage, Stage::Claimed(_)) {
                meeting.stage = Stage::Ending;
                meeting.confirmed = now;
            }
        });
    }

    /// Traffic could not connect to the server.
    pub fn refused(&mut self, server: ServerId, now: Moment) -> Option<Change> {
        self.members.get_mut(&server)?.pulse.refused(now)
    }

    /// A probe failed.
    pub fn failed(&mut self, server: ServerId, now: Moment) -> Option<Change> {
        let rule = self.rules.hysteresis;
        self.members.get_mut(&server)?.pulse.bad(rule, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::claim::{Claim, Made};
    use crate::cluster::testing::{TENANT, id, seen, unknown, up};
    use crate::cluster::wish::Wish;

    const BBB1: ServerId = ServerId(0);
    const BBB2: ServerId = ServerId(1);

    fn running() -> Cluster {
        let mut cluster = up(2);
        cluster.observe(BBB1, &[seen("m", "i-1")], Moment(10), Moment(11));
        cluster
    }

    #[test]
    fn meetings_made_elsewhere_are_adopted() {
        let mut cluster = unknown(1);
        let observed = cluster.observe(BBB1, &[seen("m", "i-1")], Moment(1), Moment(2));
        assert_eq!((observed.adopted, observed.gone.len()), (1, 0));
        assert_eq!(cluster.find(TENANT, &id("m")).unwrap().server, BBB1);
        assert_eq!(cluster.find(TENANT, &id("i-1")).unwrap().key.id, id("m"));
        cluster.meetings().check_invariants();
    }

    #[test]
    fn a_failed_probe_never_takes_a_meeting_out() {
        let mut cluster = running();
        for at in 12..100 {
            cluster.failed(BBB1, Moment(at));
        }
        assert_eq!(cluster.member(BBB1).unwrap().pulse.health(), Health::Down);
        assert_eq!(cluster.find(TENANT, &id("m")).unwrap().server, BBB1);
    }

    #[test]
    fn two_successful_answers_without_it_take_it_out() {
        let mut cluster = running();
        assert_eq!(cluster.observe(BBB1, &[], Moment(12), Moment(13)).gone.len(), 0);
        cluster.failed(BBB1, Moment(14));
        assert!(cluster.find(TENANT, &id("m")).is_some());
        assert_eq!(cluster.observe(BBB1, &[], Moment(15), Moment(16)).gone.len(), 1);
        assert!(cluster.find(TENANT, &id("m")).is_none());
        cluster.meetings().check_invariants();
    }

    #[test]
    fn seeing_it_again_in_between_starts_over() {
        let mut cluster = running();
        cluster.observe(BBB1, &[], Moment(12), Moment(13));
        cluster.observe(BBB1, &[seen("m", "i-1")], Moment(14), Moment(15));
        assert_eq!(cluster.observe(BBB1, &[], Moment(16), Moment(17)).gone.len(), 0);
        assert_eq!(cluster.observe(BBB1, &[], Moment(18), Moment(19)).gone.len(), 1);
    }

    #[test]
    fn other_servers_answers_say_nothing_about_it() {
        let mut cluster = running();
        for at in 12..20 {
            cluster.observe(BBB2, &[], Moment(at), Moment(at));
            cluster.not_found(TENANT, &id("m"), BBB2, Moment(at), Moment(at));
        }
        assert!(cluster.find(TENANT, &id("m")).is_some());
    }

    #[test]
    fn after_end_one_answer_is_enough_but_not_an_older_one() {
        let mut cluster = running();
        cluster.ended(TENANT, &id("m"), BBB1, Moment(20));
        assert_eq!(cluster.observe(BBB1, &[], Moment(19), Moment(21)).gone.len(), 0);
        // Still listed while it ends.
        cluster.observe(BBB1, &[seen("m", "i-1")], Moment(22), Moment(23));
        assert_eq!(cluster.observe(BBB1, &[], Moment(24), Moment(25)).gone.len(), 1);
    }

    #[test]
    fn an_answer_older_than_the_create_does_not_count() {
        let mut cluster = up(1);
        let Claim::Won(claim, server) =
            cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(10))
        else {
            panic!()
        };
        cluster.settle(claim, Made::default(), Moment(12));
        for _ in 0..3 {
            assert_eq!(cluster.observe(server, &[], Moment(11), Moment(13)).gone.len(), 0);
        }
        assert!(cluster.find(TENANT, &id("m")).is_some());
    }

    #[test]
    fn a_create_under_way_is_never_missed_or_taken_over() {
        let mut cluster = up(2);
        let Claim::Won(claim, server) =
            cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(10))
        else {
            panic!()
        };
        let other = if server == BBB1 { BBB2 } else { BBB1 };
        for at in 11..20 {
            cluster.observe(server, &[], Moment(at), Moment(at));
            cluster.observe(other, &[seen("m", "i-9")], Moment(at), Moment(at));
        }
        assert_eq!(
            cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(20)),
            Claim::Wait(claim)
        );
        assert_eq!(cluster.find(TENANT, &id("m")).unwrap().server, server);
    }

    #[test]
    fn a_meeting_alive_twice_is_told_and_stays_where_it_is() {
        let mut cluster = running();
        let observed = cluster.observe(BBB2, &[seen("m", "i-2")], Moment(12), Moment(13));
        assert_eq!(observed.doubled, [InternalId::new("i-2").unwrap()]);
        assert_eq!(cluster.find(TENANT, &id("m")).unwrap().server, BBB1);
    }

    #[test]
    fn of_a_meeting_alive_twice_the_one_with_people_wins() {
        let mut cluster = up(2);
        let empty = SeenMeeting { people: 0, ..seen("m", "i-1") };
        cluster.observe(BBB1, std::slice::from_ref(&empty), Moment(10), Moment(11));
        let observed = cluster.observe(BBB2, &[seen("m", "i-2")], Moment(12), Moment(13));
        assert_eq!(observed.doubled.len(), 1);
        assert_eq!(cluster.find(TENANT, &id("m")).unwrap().server, BBB2);
        let observed = cluster.observe(BBB1, &[empty], Moment(14), Moment(15));
        assert_eq!(observed.doubled.len(), 1);
        assert_eq!(cluster.find(TENANT, &id("m")).unwrap().server, BBB2);
        cluster.meetings().check_invariants();
    }

    #[test]
    fn the_server_that_shows_it_wins_over_one_that_does_not_answer() {
        let mut cluster = running();
        for at in 12..20 {
            cluster.failed(BBB1, Moment(at));
        }
        cluster.observe(BBB2, &[seen("m", "i-2")], Moment(21), Moment(22));
        assert_eq!(cluster.find(TENANT, &id("m")).unwrap().server, BBB2);
        cluster.meetings().check_invariants();
    }

    #[test]
    fn people_in_breakout_rooms_count_once() {
        let mut cluster = up(1);
        let room = SeenMeeting { parent: InternalId::new("i-1"), ..seen("b", "i-2") };
        cluster.observe(BBB1, &[seen("m", "i-1"), room], Moment(2), Moment(3));
        assert_eq!(cluster.load(BBB1).people, 3);
    }
}
