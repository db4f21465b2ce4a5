//! A bounded memory of which servers have which recording. A hint that saves asking every server; what it
//! does not know is asked, and what proves wrong is forgotten.

use std::collections::{HashMap, VecDeque};

use crate::recording::id::RecordId;

/// More copies of one recording than anyone keeps; further ones are not remembered.
const COPIES_MAX: usize = 8;

/// Which servers have which recording.
#[derive(Debug, Clone)]
pub struct Owners<K> {
    bound: usize,
    next: u64,
    by_id: HashMap<RecordId, Entry<K>>,
    /// When each entry came, oldest first. One whose entry was forgotten since stays until its turn.
    ages: VecDeque<(u64, RecordId)>,
}

#[derive(Debug, Clone)]
struct Entry<K> {
    learned: u64,
    servers: Vec<K>,
}

impl<K: Copy + Eq> Owners<K> {
    /// An empty memory of at most `bound` recordings.
    pub fn new(bound: usize) -> Self {
        Self { bound, next: 0, by_id: HashMap::new(), ages: VecDeque::new() }
    }

    /// Notes that `server` has the recording; the recording learned longest ago makes room.
    pub fn learn(&mut self, id: &RecordId, server: K) {
        if let Some(entry) = self.by_id.get_mut(id) {
            if !entry.servers.contains(&server) && entry.servers.len() < COPIES_MAX {
                entry.servers.push(server);
            }
            return;
        }
        self.next += 1;
        self.by_id.insert(id.clone(), Entry { learned: self.next, servers: vec![server] });
        self.ages.push_back((self.next, id.clone()));
        if self.ages.len() > self.bound {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((learned, id)) = self.ages.pop_front()
            && self.by_id.get(&id).is_some_and(|entry| entry.learned == learned)
        {
            self.by_id.remove(&id);
        }
    }

    /// Notes that `server` does not have the recording after all.
    pub fn forget(&mut self, id: &RecordId, server: K) {
        if let Some(entry) = self.by_id.get_mut(id) {
            entry.servers.retain(|known| *known != server);
            if entry.servers.is_empty() {
                self.by_id.remove(id);
            }
        }
    }

    /// Forgets all that is remembered of a server that is gone. Costs O(recordings).
    pub fn forget_server(&mut self, server: K) {
        self.by_id.retain(|_, entry| {
            entry.servers.retain(|known| *known != server);
            !entry.servers.is_empty()
        });
    }

    /// The servers known to have the recording; empty if none is.
    pub fn of(&self, id: &RecordId) -> &[K] {
        self.by_id.get(id).map_or(&[], |entry| &entry.servers)
    }

    /// How many recordings are remembered.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> RecordId {
        RecordId::new(&n.to_string()).unwrap()
    }

    #[test]
    fn the_oldest_makes_room_and_learning_again_makes_nothing_younger() {
        let mut owners = Owners::new(2);
        for n in [1, 2, 1, 3] {
            owners.learn(&id(n), 'a');
        }
        assert_eq!(owners.len(), 2);
        assert_eq!(
            [owners.of(&id(1)), owners.of(&id(2)), owners.of(&id(3))],
            [&[][..], &['a'], &['a']]
        );
    }

    #[test]
    fn copies_are_all_known_until_forgotten() {
        let mut owners = Owners::new(2);
        for server in ['a', 'b', 'a'] {
            owners.learn(&id(1), server);
        }
        assert_eq!(owners.of(&id(1)), ['a', 'b']);
        owners.forget(&id(1), 'a');
        assert_eq!(owners.of(&id(1)), ['b']);
        owners.forget(&id(1), 'b');
        assert!(owners.is_empty());
    }

    #[test]
    fn a_server_that_is_gone_has_nothing() {
        let mut owners = Owners::new(2);
        for (n, server) in [(1, 'a'), (2, 'a'), (2, 'b')] {
            owners.learn(&id(n), server);
        }
        owners.forget_server('a');
        assert_eq!([owners.of(&id(1)), owners.of(&id(2))], [&[][..], &['b']]);
        assert_eq!(owners.len(), 1);
    }

    #[test]
    fn what_was_forgotten_and_learned_again_does_not_go_with_its_old_age() {
        let mut owners = Owners::new(2);
        owners.learn(&id(1), 'a');
        owners.forget(&id(1), 'a');
        owners.learn(&id(1), 'b');
        owners.learn(&id(2), 'a');
        assert_eq!([owners.of(&id(1)), owners.of(&id(2))], [['b'], ['a']]);
    }

    #[test]
    fn nothing_grows_beyond_the_bound() {
        let mut owners = Owners::new(3);
        for n in 0..1000 {
            owners.learn(&id(n % 7), n);
            owners.forget(&id(n % 5), n);
        }
        for server in 0..100 {
            owners.learn(&id(9), server);
        }
        assert!(owners.len() <= 3 && owners.ages.len() <= 3);
        assert_eq!(owners.of(&id(9)).len(), COPIES_MAX);
        let mut nothing = Owners::new(0);
        nothing.learn(&id(1), 'a');
        assert!(nothing.is_empty());
    }
}
