//! What a store remembers of creates from before a restart. A recalled claim says that a server may have a
//! meeting; it is believed until that server has answered often enough to know better, so that a restart
//! beside a dead server neither denies its meetings nor makes them a second time.

use std::collections::HashMap;

use crate::bbb::id::{KeyHash, MeetingId, TenantId};
use crate::cluster::Cluster;
use crate::cluster::attendance::Attendance;
use crate::cluster::meetings::{Key, Meeting, Stage};
use crate::cluster::moment::Moment;
use crate::cluster::observe::ABSENCES_UNTIL_GONE;
use crate::cluster::server::ServerId;

/// Recalled claims, until their servers have spoken.
#[derive(Debug, Default)]
pub(crate) struct Recalled {
    by_meeting: HashMap<KeyHash, ServerId>,
    answers: HashMap<ServerId, u8>,
}

impl Recalled {
    /// The server is gone, and with it what it may have had.
    pub(crate) fn forget_server(&mut self, server: ServerId) {
        self.by_meeting.retain(|_, at| *at != server);
        self.answers.remove(&server);
    }

    /// `server` answered once more and listed `has`: what it did not list in the last of several answers
    /// is gone. Empty until then.
    pub(crate) fn answered(
        &mut self,
        server: ServerId,
        has: impl Iterator<Item = KeyHash>,
    ) -> Vec<KeyHash> {
        if self.by_meeting.is_empty() {
            return Vec::new();
        }
        for meeting in has {
            self.by_meeting.remove(&meeting);
        }
        let answers = self.answers.entry(server).or_default();
        *answers = answers.saturating_add(1);
        if *answers < ABSENCES_UNTIL_GONE {
            return Vec::new();
        }
        let gone = self.by_meeting.extract_if(|_, at| *at == server);
        gone.map(|(meeting, _)| meeting).collect()
    }
}

impl Cluster {
    /// Takes in what a store remembers. Call it before the first observation.
    pub fn recall(&mut self, claims: impl IntoIterator<Item = (KeyHash, ServerId)>) {
        self.recalled.by_meeting.extend(claims);
    }

    /// The server that may have a meeting which is not in the table.
    pub fn recalled(&self, tenant: TenantId, id: &MeetingId) -> Option<ServerId> {
        if self.recalled.by_meeting.is_empty() {
            return None;
        }
        self.recalled.by_meeting.get(&KeyHash::of(tenant, id)).copied()
    }

    /// The meeting may be on `server`, as somebody remembers: it stays there, `Doubtful`, until the server
    /// tells.
    pub fn believe(&mut self, tenant: TenantId, id: &MeetingId, server: ServerId, now: Moment) {
        let key = Key { tenant, id: id.clone() };
        self.recalled.by_meeting.remove(&KeyHash::of(tenant, id));
        let attendance = Attendance::beginning(self.foresight.prior(&key, None, now), now);
        let share = self.foresight.share(&attendance, false, now);
        let stage = Stage::Doubtful;
        self.meetings.put(Meeting::begun(key, server, stage, (attendance, share), now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::claim::Claim;
    use crate::cluster::testing::{TENANT, id, seen, unknown};
    use crate::cluster::wish::Wish;

    const BBB1: ServerId = ServerId(0);
    const BBB2: ServerId = ServerId(1);

    /// After a restart: bbb2 answers, bbb1 does not, and a meeting was claimed on bbb1 before.
    fn restarted() -> Cluster {
        let mut cluster = unknown(2);
        cluster.recall([(KeyHash::of(TENANT, &id("m")), BBB1)]);
        cluster.failed(BBB1, Moment(1));
        cluster.observe(BBB2, &[], Moment(1), Moment(1));
        cluster
    }

    #[test]
    fn a_recalled_meeting_is_not_made_a_second_time() {
        let mut cluster = restarted();
        assert_eq!(cluster.recalled(TENANT, &id("m")), Some(BBB1));
        let claim = cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(2));
        assert_eq!(claim, Claim::Existing(BBB1));
        assert_eq!(cluster.find(TENANT, &id("m")).unwrap().stage, Stage::Doubtful);
        cluster.meetings().check_invariants();
    }

    #[test]
    fn it_is_believed_until_its_server_has_answered_twice() {
        let mut cluster = restarted();
        assert!(cluster.observe(BBB2, &[], Moment(2), Moment(2)).gone.is_empty());
        assert!(cluster.observe(BBB1, &[], Moment(3), Moment(3)).gone.is_empty());
        assert_eq!(cluster.recalled(TENANT, &id("m")), Some(BBB1));
        let gone = cluster.observe(BBB1, &[], Moment(4), Moment(4)).gone;
        assert_eq!(gone, [KeyHash::of(TENANT, &id("m"))]);
        assert_eq!(cluster.recalled(TENANT, &id("m")), None);
        let claim = cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(5));
        assert!(matches!(claim, Claim::Won(..)));
    }

    #[test]
    fn once_it_is_listed_it_is_a_meeting_like_any_other() {
        let mut cluster = restarted();
        cluster.observe(BBB1, &[seen("m", "i-1")], Moment(3), Moment(3));
        assert_eq!(cluster.recalled(TENANT, &id("m")), None);
        assert_eq!(cluster.find(TENANT, &id("m")).unwrap().server, BBB1);
        assert!(cluster.observe(BBB1, &[seen("m", "i-1")], Moment(4), Moment(4)).gone.is_empty());
    }
}
