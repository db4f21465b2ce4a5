//! Callbacks that were taken already, so that what a server tells twice is told to the front end once.
//! Bounded: of very many the oldest are forgotten, and a repetition of one of those is told again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::callback::envelope::Id;
use crate::cluster::moment::Moment;

/// About 15 MB.
const REMEMBERED_MAX: usize = 100_000;

/// What was taken.
#[derive(Debug, Default)]
pub struct Seen {
    by_sameness: HashMap<String, Taken>,
    order: VecDeque<(String, Id)>,
}

#[derive(Debug)]
struct Taken {
    id: Id,
    instance: Option<String>,
    at: Moment,
}

impl Seen {
    /// The callback that this one repeats. One that is `pending` is repeated whenever it comes again, one that
    /// is about the same instance of a meeting too, any other if it was taken no longer than `within` ago.
    pub fn repeated(
        &self,
        sameness: &str,
        instance: Option<&str>,
        now: Moment,
        within: Duration,
        pending: impl FnOnce(Id) -> bool,
    ) -> Option<Id> {
        let taken = self.by_sameness.get(sameness)?;
        let repeated = match (&taken.instance, instance) {
            (Some(taken), Some(now)) => taken == now,
            _ => now.since(taken.at) < within || pending(taken.id),
        };
        repeated.then_some(taken.id)
    }

    /// Remembers one.
    pub fn take(&mut self, sameness: &str, instance: Option<&str>, id: Id, now: Moment) {
        let taken = Taken { id, instance: instance.map(str::to_owned), at: now };
        self.by_sameness.insert(sameness.to_owned(), taken);
        self.order.push_back((sameness.to_owned(), id));
        if self.order.len() > REMEMBERED_MAX
            && let Some((oldest, id)) = self.order.pop_front()
            // Not if it was taken again since.
            && self.by_sameness.get(&oldest).is_some_and(|taken| taken.id == id)
        {
            self.by_sameness.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(60);

    fn id(n: u8) -> Id {
        Id::of(&[&[n]])
    }

    #[test]
    fn one_meeting_ends_once_and_the_next_of_its_name_once_more() {
        let mut seen = Seen::default();
        let (soon, late) = (Moment(1_000), Moment(3_600_000));
        let repeated = |seen: &Seen, instance, now| {
            seen.repeated("s", instance, now, WITHIN, |_| false).is_some()
        };
        assert!(!repeated(&seen, Some("i-1"), soon));
        seen.take("s", Some("i-1"), id(1), Moment(0));
        assert!(repeated(&seen, Some("i-1"), late));
        assert!(!repeated(&seen, Some("i-2"), soon));
        assert!(
            repeated(&seen, None, soon),
            "the second of two requests, just after the meeting went"
        );
        assert!(!repeated(&seen, None, late));
    }

    #[test]
    fn what_still_waits_is_not_taken_twice() {
        let mut seen = Seen::default();
        seen.take("s", None, id(1), Moment(0));
        let late = Moment(100_000);
        let none = Duration::ZERO;
        assert_eq!(seen.repeated("s", None, late, none, |id_| id_ == id(1)), Some(id(1)));
        assert_eq!(seen.repeated("s", None, late, none, |_| false), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for n in 0..REMEMBERED_MAX + 10 {
            seen.take(&n.to_string(), None, id(1), Moment(0));
        }
        assert_eq!((seen.order.len(), seen.by_sameness.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
    }
}
