//! What waits to be delivered: how much of it, whose turn it is, and when. Every receiver has a lane of its own,
//! so that one that is dead or slow delays only itself; in a lane that is in order nothing overtakes.

use std::collections::{BTreeMap, HashMap};

use crate::callback::envelope::Id;
use crate::cluster::moment::Moment;

/// All lanes together.
const WAITING_MAX: usize = 10_000;
/// Of one lane: a dead receiver must not fill the queue for the others.
const WAITING_IN_LANE_MAX: usize = 2_000;
/// All bodies together.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Attempts at a time, all lanes.
const RUNNING_MAX: usize = 64;
/// Attempts at a time in one lane that is not in order.
const RUNNING_IN_LANE_MAX: usize = 4;

/// Something to deliver.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Which.
    pub id: Id,
    /// Its lane.
    pub lane: String,
    /// Whether the lane is in order.
    pub in_order: bool,
    /// How much memory it takes.
    pub bytes: usize,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    lanes: HashMap<String, Lane>,
    places: HashMap<Id, (String, u64)>,
    next_place: u64,
    bytes: usize,
    running: usize,
}

#[derive(Debug, Default)]
struct Lane {
    in_order: bool,
    entries: BTreeMap<u64, Entry>,
    running: usize,
}

#[derive(Debug)]
struct Entry {
    id: Id,
    bytes: usize,
    due: Moment,
    attempts: u32,
    running: bool,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try this one; it counts as running until [`Queue::later`] or [`Queue::remove`].
    Try(Id),
    /// Nothing before then.
    At(Moment),
    /// Nothing before something changes.
    Nothing,
}

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Queue {
    /// Adds something that is due now.
    pub fn add(&mut self, waiting: Waiting, now: Moment) -> Result<(), Full> {
        let in_lane = self.lanes.get(&waiting.lane).map_or(0, |lane| lane.entries.len());
        if self.places.len() >= WAITING_MAX
            || in_lane >= WAITING_IN_LANE_MAX
            || self.bytes + waiting.bytes > BYTES_MAX
        {
            return Err(Full);
        }
        if self.places.contains_key(&waiting.id) {
            return Ok(());
        }
        let place = self.next_place;
        self.next_place += 1;
        self.bytes += waiting.bytes;
        let Waiting { id, lane: name, in_order, bytes } = waiting;
        let lane = self.lanes.entry(name.clone()).or_default();
        lane.in_order = in_order;
        lane.entries.insert(place, Entry { id, bytes, due: now, attempts: 0, running: false });
        self.places.insert(id, (name, place));
        Ok(())
    }

    /// The next one to try. Costs a look at everything that waits, which is bounded.
    pub fn next(&mut self, now: Moment) -> Next {
        if self.running >= RUNNING_MAX {
            return Next::Nothing;
        }
        let Some(first) = self.lanes.values_mut().filter_map(Lane::first).min_by_key(|e| e.due)
        else {
            return Next::Nothing;
        };
        if first.due > now {
            return Next::At(first.due);
        }
        first.running = true;
        let id = first.id;
        self.running += 1;
        if let Some(lane) = self.places.get(&id).and_then(|(lane, _)| self.lanes.get_mut(lane)) {
            lane.running += 1;
        }
        Next::Try(id)
    }

    /// An attempt failed; how many have now. `pause` gives the milliseconds until the next.
    pub fn later(&mut self, id: Id, now: Moment, pause: impl FnOnce(u32) -> u64) {
        let Some((name, place)) = self.places.get(&id) else { return };
        let Some(lane) = self.lanes.get_mut(name) else { return };
        let Some(entry) = lane.entries.get_mut(place) else { return };
        entry.attempts += 1;
        entry.due = Moment(now.0.saturating_add(pause(entry.attempts)));
        if std::mem::take(&mut entry.running) {
            lane.running -= 1;
            self.running -= 1;
        }
    }

    /// It is delivered, or given up.
    pub fn remove(&mut self, id: Id) {
        let Some((name, place)) = self.places.remove(&id) else { return };
        let Some(lane) = self.lanes.get_mut(&name) else { return };
        let Some(entry) = lane.entries.remove(&place) else { return };
        self.bytes -= entry.bytes;
        if entry.running {
            lane.running -= 1;
            self.running -= 1;
        }
        if lane.entries.is_empty() {
            self.lanes.remove(&name);
        }
    }

    /// Whether it waits or is under way.
    pub fn contains(&self, id: Id) -> bool {
        self.places.contains_key(&id)
    }

    /// Whether something in the lane has failed and waits for its next attempt.
    pub fn is_stalled(&self, lane: &str) -> bool {
        let lane = self.lanes.get(lane);
        lane.is_some_and(|lane| lane.entries.values().any(|entry| entry.attempts > 0))
    }

    /// How many wait or are under way.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl Lane {
    /// The entry whose turn it is in this lane.
    fn first(&mut self) -> Option<&mut Entry> {
        if self.in_order {
            return self.entries.values_mut().next().filter(|entry| !entry.running);
        }
        if self.running >= RUNNING_IN_LANE_MAX {
            return None;
        }
        self.entries.values_mut().filter(|entry| !entry.running).min_by_key(|entry| entry.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(n: usize, lane: &str, in_order: bool) -> Waiting {
        let id = Id::of(&[&n.to_be_bytes()]);
        Waiting { id, lane: lane.to_owned(), in_order, bytes: 1 }
    }

    fn add(queue: &mut Queue, n: usize, lane: &str, in_order: bool) -> Id {
        let waiting = waiting(n, lane, in_order);
        let id = waiting.id;
        queue.add(waiting, Moment(0)).unwrap();
        id
    }

    #[test]
    fn a_slow_receiver_delays_only_itself() {
        let mut queue = Queue::default();
        for n in 0..100 {
            add(&mut queue, n, "slow", false);
        }
        let quick = add(&mut queue, 100, "quick", false);
        let mut running = Vec::new();
        while let Next::Try(id) = queue.next(Moment(0)) {
            running.push(id);
        }
        assert_eq!(running.len(), RUNNING_IN_LANE_MAX + 1);
        assert!(running.contains(&quick));
    }

    #[test]
    fn nothing_overtakes_in_a_lane_that_is_in_order() {
        let mut queue = Queue::default();
        let ids: Vec<Id> = (0..3).map(|n| add(&mut queue, n, "hook", true)).collect();
        assert_eq!(queue.next(Moment(0)), Next::Try(ids[0]));
        assert_eq!(queue.next(Moment(0)), Next::Nothing);
        assert!(!queue.is_stalled("hook"));
        queue.later(ids[0], Moment(0), |_| 50);
        assert!(queue.is_stalled("hook"));
        assert_eq!(queue.next(Moment(0)), Next::At(Moment(50)));
        assert_eq!(queue.next(Moment(50)), Next::Try(ids[0]));
        queue.remove(ids[0]);
        assert_eq!(queue.next(Moment(50)), Next::Try(ids[1]));
    }

    #[test]
    fn attempts_are_counted_and_waited_for() {
        let mut queue = Queue::default();
        let id = add(&mut queue, 0, "a", false);
        for attempt in 1..4 {
            let now = Moment(u64::from(attempt - 1) * 10);
            assert_eq!(queue.next(now), Next::Try(id));
            queue.later(id, now, |attempts| {
                assert_eq!(attempts, attempt);
                10
            });
        }
        queue.remove(id);
        assert!(queue.is_empty() && !queue.contains(id) && queue.bytes == 0 && queue.running == 0);
        assert!(queue.lanes.is_empty());
    }

    #[test]
    fn everything_has_a_bound() {
        let mut queue = Queue::default();
        let fill = |queue: &mut Queue, lane: &str, from: usize| {
            (from..from + 20_000)
                .take_while(|n| queue.add(waiting(*n, lane, false), Moment(0)).is_ok())
                .count()
        };
        assert_eq!(fill(&mut queue, "a", 0), WAITING_IN_LANE_MAX);
        let lanes = ["b", "c", "d", "e", "f"].into_iter().zip(1..);
        let rest: usize = lanes.map(|(lane, n)| fill(&mut queue, lane, n * 20_000)).sum();
        assert_eq!(rest, WAITING_MAX - WAITING_IN_LANE_MAX);
        let large = Waiting { bytes: BYTES_MAX + 1, ..waiting(1, "z", false) };
        assert_eq!(Queue::default().add(large, Moment(0)), Err(Full));
        let mut running = 0;
        let mut queue = Queue::default();
        for n in 0..1000 {
            add(&mut queue, n, &n.to_string(), false);
        }
        while let Next::Try(_) = queue.next(Moment(0)) {
            running += 1;
        }
        assert_eq!(running, RUNNING_MAX);
    }
}
