//! Servers that come, change and go while the program runs. A server that is no longer configured stays for
//! its meetings as long as it answers, and takes no new ones; once it has none, or stops answering, it is gone
//! and so are they: that is what an operator who removes a server says (design rule 1).

use std::sync::Arc;

use crate::bbb::id::KeyHash;
use crate::cluster::health::Health;
use crate::cluster::meetings::{Key, Stage};
use crate::cluster::moment::Moment;
use crate::cluster::placement::Placement;
use crate::cluster::server::{Mode, ServerId, ServerSpec};
use crate::cluster::{Cluster, Rules};

/// What a server that is no longer configured leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Farewell {
    /// Meetings that are known on it.
    pub meetings: usize,
    /// People in them.
    pub people: u64,
    /// Whether it answers; if it does not, its meetings are given up with it.
    pub health: Health,
}

impl Cluster {
    /// The ID that the next server will have.
    pub fn next_server(&self) -> ServerId {
        ServerId(self.next_server)
    }

    /// The server is described in another way from now on. What is known of its meetings stays.
    pub fn change_server(&mut self, server: ServerId, spec: Arc<ServerSpec>) {
        if let Some(member) = self.members.get_mut(&server) {
            member.spec = spec;
        }
    }

    /// The server is no longer configured: it takes no new meetings. [`Self::retire`] says when it is gone.
    pub fn dismiss(&mut self, server: ServerId) -> Option<Farewell> {
        let member = self.members.get_mut(&server)?;
        if member.leaving.is_none() {
            member.leaving = Some(member.mode);
            if member.mode == Mode::Serve {
                member.mode = Mode::Drain;
            }
        }
        let health = member.pulse.health();
        let (mut meetings, mut people) = (0, 0);
        for meeting in self.meetings.on(server) {
            meetings += 1;
            people += u64::from(meeting.attendance.crowd().people);
        }
        Some(Farewell { meetings, people, health })
    }

    /// The server is configured again, in the mode that it had or was set to since.
    pub fn welcome_back(&mut self, server: ServerId) {
        if let Some(member) = self.members.get_mut(&server)
            && let Some(mode) = member.leaving.take()
        {
            member.mode = mode;
        }
    }

    /// Takes a leaving server out once nothing keeps it: the meetings that went with it, none unless it stopped
    /// answering. `None`: it stays. A create under way keeps it in any case.
    pub fn retire(&mut self, server: ServerId) -> Option<Vec<KeyHash>> {
        let member = self.members.get(&server)?;
        member.leaving?;
        let answers = member.pulse.health() != Health::Down;
        let keys: Vec<Key> = self.meetings.on(server).map(|meeting| meeting.key.clone()).collect();
        let is_busy = |key: &Key| {
            self.meetings.find(key).is_some_and(|meeting| {
                matches!(meeting.stage, Stage::Claimed(_)) || meeting.repeats > 0
            })
        };
        if answers && !keys.is_empty() || keys.iter().any(is_busy) {
            return None;
        }
        for key in &keys {
            self.meetings.remove(key);
        }
        self.recalled.forget_server(server);
        self.members.remove(&server);
        Some(keys.iter().map(|key| KeyHash::of(key.tenant, &key.id)).collect())
    }

    /// The numbers that decide from now on. Where weights changed, what every meeting adds to its server is
    /// reckoned anew, which costs O(meetings).
    pub fn set_rules(&mut self, rules: Rules, now: Moment) {
        let weights_changed = self.rules.weights != rules.weights;
        self.rules = rules;
        if !weights_changed {
            return;
        }
        self.foresight.set_weights(rules.weights);
        let keys: Vec<Key> = self.meetings.iter().map(|meeting| meeting.key.clone()).collect();
        for key in keys {
            let foresight = &self.foresight;
            self.meetings.change(&key, |meeting| {
                let is_room = meeting.parent.is_some();
                meeting.share = foresight.share(&meeting.attendance, is_room, now);
            });
        }
    }

    /// How new meetings are placed from now on.
    pub fn set_placement(&mut self, placement: Box<dyn Placement>) {
        self.placement = placement;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::claim::Claim;
    use crate::cluster::placement::cost::Weights;
    use crate::cluster::testing::{TENANT, id, rules, seen, spec, up};
    use crate::cluster::wish::Wish;

    const BBB1: ServerId = ServerId(0);
    const BBB2: ServerId = ServerId(1);

    fn claim(cluster: &mut Cluster, meeting: &str) -> Claim {
        cluster.claim(TENANT, &id(meeting), &Wish::default(), Moment(20))
    }

    #[test]
    fn a_removed_server_keeps_its_meetings_and_takes_no_new_ones() {
        let mut cluster = up(2);
        cluster.observe(BBB1, &[seen("m", "i-1")], Moment(10), Moment(10));
        let farewell = cluster.dismiss(BBB1).unwrap();
        assert_eq!((farewell.meetings, farewell.people, farewell.health), (1, 3, Health::Up));
        assert_eq!(cluster.retire(BBB1), None);
        assert_eq!(claim(&mut cluster, "m"), Claim::Existing(BBB1));
        cluster.repeat_over(TENANT, &id("m"), BBB1, Moment(20));
        for n in 0..4 {
            assert!(matches!(claim(&mut cluster, &format!("n{n}")), Claim::Won(_, BBB2)));
        }
        for at in [30, 40] {
            cluster.observe(BBB1, &[], Moment(at), Moment(at));
        }
        assert_eq!(cluster.retire(BBB1), Some(Vec::new()));
        assert!(cluster.member(BBB1).is_none());
        cluster.meetings().check_invariants();
    }

    #[test]
    fn a_removed_server_that_does_not_answer_takes_its_meetings_along() {
        let mut cluster = up(2);
        cluster.observe(BBB1, &[seen("m", "i-1")], Moment(10), Moment(10));
        cluster.dismiss(BBB1);
        for at in 11..14 {
            assert_eq!(cluster.retire(BBB1), None);
            cluster.failed(BBB1, Moment(at));
        }
        assert_eq!(cluster.retire(BBB1), Some(vec![KeyHash::of(TENANT, &id("m"))]));
        assert!(matches!(claim(&mut cluster, "m"), Claim::Won(_, BBB2)));
        cluster.meetings().check_invariants();
    }

    #[test]
    fn a_create_under_way_keeps_its_server() {
        let mut cluster = up(1);
        let Claim::Won(open, BBB1) = claim(&mut cluster, "m") else { panic!() };
        cluster.dismiss(BBB1);
        for at in 21..25 {
            cluster.failed(BBB1, Moment(at));
        }
        assert_eq!(cluster.retire(BBB1), None);
        cluster.release(open);
        assert_eq!(cluster.retire(BBB1), Some(Vec::new()));
    }

    #[test]
    fn one_that_comes_back_has_the_mode_it_was_given() {
        let mut cluster = up(2);
        cluster.dismiss(BBB1);
        cluster.welcome_back(BBB1);
        assert_eq!(cluster.member(BBB1).unwrap().mode, Mode::Serve);
        cluster.dismiss(BBB1);
        cluster.set_mode(BBB1, Mode::Disable);
        assert_eq!(cluster.member(BBB1).unwrap().mode, Mode::Drain, "it takes nothing new");
        cluster.welcome_back(BBB1);
        assert_eq!(cluster.member(BBB1).unwrap().mode, Mode::Disable);
        assert_eq!(cluster.retire(BBB1), None);
    }

    #[test]
    fn an_id_is_never_used_again() {
        let mut cluster = up(2);
        cluster.dismiss(BBB2);
        assert!(cluster.retire(BBB2).is_some());
        let next = cluster.add_server(Arc::new(spec("bbb2")), Moment(30));
        assert_eq!(next, ServerId(2));
    }

    #[test]
    fn other_weights_count_for_meetings_that_run() {
        let mut cluster = up(1);
        cluster.observe(BBB1, &[seen("m", "i-1")], Moment(10), Moment(10));
        let before = cluster.load(BBB1);
        let weights = Weights { meeting: 7.0, ..Weights::default() };
        cluster.set_rules(Rules { weights, ..rules() }, Moment(11));
        assert_ne!(cluster.load(BBB1), before);
        cluster.meetings().check_invariants();
    }
}
