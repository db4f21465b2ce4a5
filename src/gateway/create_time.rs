//! Joins with the createTime of a meeting that was lost and made anew: with `join.heal_create_time` they are
//! let in (`operators.md` 2.7).
//!
//! createTime is there so that old links do not open new meetings. So only what this gateway itself saw is
//! healed: a create that made a meeting anew which, as far as anybody had said, was still running. A meeting
//! that was ended, or whose server reported it gone, keeps its old links closed. A restart forgets.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::bbb::call::{Call, CallName};
use crate::bbb::id::{MeetingId, TenantId};
use crate::cluster::Cluster;
use crate::cluster::meetings::Stage;

/// Meetings remembered; beyond that all are forgotten, which costs some people one failed link.
const MEETINGS_MAX: usize = 10_000;
/// Former lives remembered of one meeting.
const LIVES_MAX: usize = 8;

/// The createTimes that meetings had before they were made anew.
#[derive(Debug, Default)]
pub(crate) struct FormerLives(Mutex<HashMap<(TenantId, MeetingId), Vec<u64>>>);

/// The createTime of a meeting that counts as running.
pub(crate) fn of_running(cluster: &Cluster, tenant: TenantId, id: &MeetingId) -> Option<u64> {
    let meeting = cluster.find(tenant, id)?;
    let runs = matches!(meeting.stage, Stage::Running | Stage::Doubtful);
    meeting.create_time_ms.filter(|_| runs)
}

impl FormerLives {
    /// The create of a meeting that counted as running since `before` was answered.
    pub(crate) fn learn(&self, cluster: &Cluster, tenant: TenantId, id: &MeetingId, before: u64) {
        let now = of_running(cluster, tenant, id);
        if now.is_none_or(|now| now == before) {
            return;
        }
        let mut meetings = self.0.lock();
        if meetings.len() >= MEETINGS_MAX {
            meetings.clear();
        }
        let lives = meetings.entry((tenant, id.clone())).or_default();
        if lives.len() < LIVES_MAX && !lives.contains(&before) {
            lives.push(before);
        }
    }

    /// The join, with the createTime of the meeting's present life if it has that of a former one.
    pub(crate) fn heal(&self, cluster: &Cluster, tenant: TenantId, call: Call) -> Call {
        match self.present(cluster, tenant, &call) {
            Some(present) => call.with_param("createTime", &present.to_string()),
            None => call,
        }
    }

    fn present(&self, cluster: &Cluster, tenant: TenantId, call: &Call) -> Option<u64> {
        if *call.name() != CallName::Join {
            return None;
        }
        let given: u64 = call.param("createTime")?.parse().ok()?;
        let id = call.meeting_id()?;
        let present = of_running(cluster, tenant, &id).filter(|present| *present != given)?;
        let meetings = self.0.lock();
        let lives = meetings.get(&(tenant, id))?;
        lives.contains(&given).then_some(present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::call::SignedCall;
    use crate::bbb::checksum::{Algorithm, sign};
    use crate::bbb::secret::Secret;
    use crate::cluster::claim::{Claim, Made};
    use crate::cluster::moment::Moment;
    use crate::cluster::testing::{TENANT, id, up};
    use crate::cluster::wish::Wish;

    fn made(cluster: &mut Cluster, create_time_ms: u64) {
        let Claim::Won(claim, _) = cluster.claim(TENANT, &id("m"), &Wish::default(), Moment(2))
        else {
            panic!()
        };
        let made = Made { internal: None, create_time_ms: Some(create_time_ms) };
        cluster.settle(claim, made, Moment(3));
    }

    fn join(query: &str) -> Call {
        let secret = Secret::new("s").unwrap();
        let wire = sign("join", query, Algorithm::Sha1, &secret);
        SignedCall { name: &CallName::Join, query: &wire, form: None }.verify(&[secret]).unwrap()
    }

    #[test]
    fn only_a_life_that_was_seen_to_be_replaced_is_healed() {
        let mut cluster = up(1);
        made(&mut cluster, 20);
        let lives = FormerLives::default();
        lives.learn(&cluster, TENANT, &id("m"), 10);
        for (query, expected) in [
            ("createTime=10&meetingID=m", "createTime=20&meetingID=m"),
            ("createTime=20&meetingID=m", "createTime=20&meetingID=m"),
            ("createTime=9&meetingID=m", "createTime=9&meetingID=m"),
            ("meetingID=m", "meetingID=m"),
            ("createTime=10&meetingID=other", "createTime=10&meetingID=other"),
            ("createTime=x&meetingID=m", "createTime=x&meetingID=m"),
        ] {
            assert_eq!(lives.heal(&cluster, TENANT, join(query)).query(), expected);
        }
    }

    #[test]
    fn a_repeated_create_of_the_same_life_teaches_nothing() {
        let mut cluster = up(1);
        made(&mut cluster, 20);
        let lives = FormerLives::default();
        lives.learn(&cluster, TENANT, &id("m"), 20);
        assert!(lives.0.lock().is_empty());
    }
}
