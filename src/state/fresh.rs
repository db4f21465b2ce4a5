//! Answers that several clients share: what was asked of a meeting a moment ago is not asked again, and what is
//! being asked is asked once, however many wait for it. Knows nothing of HTTP and never asks anybody.
//!
//! A call that changes a meeting makes everything that was asked of it before void, so that a front end always
//! reads what it wrote (`clients.md` 4.2).

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::cluster::meetings::Key;
use crate::cluster::moment::Moment;
use crate::cluster::server::ServerId;

/// Meetings fall into this many parts, each with a lock of its own.
const PARTS: usize = 16;
/// What the answers kept in one part may take together; what comes beyond that is asked again.
const PART_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is asked: the same question to the same server has the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The meeting it is about.
    pub meeting: Key,
    /// Who is asked.
    pub server: ServerId,
    /// The call and its parameters, as the client wrote them.
    pub words: String,
}

/// Answers that are fresh, and questions that are being asked. `A` is cheap to clone.
pub struct Fresh<A> {
    parts: [Mutex<Part<A>>; PARTS],
    hasher: RandomState,
    asking: AtomicU64,
}

struct Part<A> {
    meetings: HashMap<Key, Vec<Entry<A>>>,
    kept_bytes: usize,
    swept: Moment,
}

struct Entry<A> {
    server: ServerId,
    words: String,
    stage: Stage<A>,
}

enum Stage<A> {
    Asking(u64, watch::Receiver<Option<A>>),
    Told { answer: A, bytes: usize, asked: Moment },
}

/// What to do about a question.
pub enum Ask<A> {
    /// This is the answer.
    Told(A),
    /// Somebody is asking: the answer comes here, or an error if they gave up.
    Wait(watch::Receiver<Option<A>>),
    /// Nobody is: ask, and tell.
    Lead(Lead<A>),
}

/// The duty to ask. Dropped untold, it passes to somebody who waits.
pub struct Lead<A> {
    fresh: Arc<Fresh<A>>,
    question: Question,
    number: u64,
    tell: watch::Sender<Option<A>>,
    asked: Moment,
}

impl<A: Clone> Default for Fresh<A> {
    fn default() -> Self {
        let part = || Part { meetings: HashMap::new(), kept_bytes: 0, swept: Moment::default() };
        Self {
            parts: std::array::from_fn(|_| Mutex::new(part())),
            hasher: RandomState::new(),
            asking: AtomicU64::new(0),
        }
    }
}

impl<A: Clone> Fresh<A> {
    /// Looks for an answer that was asked for less than `freshness` ago, or for somebody who is asking.
    pub fn ask(self: &Arc<Self>, question: Question, freshness: Duration, now: Moment) -> Ask<A> {
        let mut part = self.part(&question.meeting).lock();
        part.sweep(freshness, now);
        let entries = part.meetings.entry(question.meeting.clone()).or_default();
        let at = entries.iter().position(|entry| entry.is_of(&question));
        match at.and_then(|at| entries.get(at)).map(|entry| &entry.stage) {
            Some(Stage::Told { answer, asked, .. }) if now.since(*asked) < freshness => {
                return Ask::Told(answer.clone());
            }
            Some(Stage::Asking(_, told)) => return Ask::Wait(told.clone()),
            Some(Stage::Told { .. }) | None => {}
        }
        let old = at.map(|at| entries.swap_remove(at));
        let number = self.asking.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = watch::channel(None);
        entries.push(Entry {
            server: question.server,
            words: question.words.clone(),
            stage: Stage::Asking(number, told),
        });
        part.kept_bytes -= old.map_or(0, |old| old.bytes());
        drop(part);
        Ask::Lead(Lead { fresh: self.clone(), question, number, tell, asked: now })
    }

    /// Something about `meeting` changes, or has changed: what was asked before is asked again. Who waits for
    /// such an answer began to before the change, and gets it.
    pub fn changed(&self, meeting: &Key) {
        let mut part = self.part(meeting).lock();
        if let Some(entries) = part.meetings.remove(meeting) {
            part.kept_bytes -= entries.iter().map(Entry::bytes).sum::<usize>();
        }
    }

    fn part(&self, meeting: &Key) -> &Mutex<Part<A>> {
        let at = usize::try_from(self.hasher.hash_one(meeting) % PARTS as u64).unwrap_or(0);
        // `at` is a remainder of the length.
        self.parts.get(at).unwrap_or(&self.parts[0])
    }
}

impl<A> Part<A> {
    /// Lets go of what is no longer fresh, at most once in that time.
    fn sweep(&mut self, freshness: Duration, now: Moment) {
        if now.since(self.swept) < freshness {
            return;
        }
        self.swept = now;
        let mut kept_bytes = 0;
        self.meetings.retain(|_, entries| {
            entries.retain(|entry| match entry.stage {
                Stage::Told { asked, .. } => now.since(asked) < freshness,
                Stage::Asking(..) => true,
            });
            kept_bytes += entries.iter().map(Entry::bytes).sum::<usize>();
            !entries.is_empty()
        });
        self.kept_bytes = kept_bytes;
    }
}

impl<A> Entry<A> {
    fn is_of(&self, question: &Question) -> bool {
        self.server == question.server && self.words == question.words
    }

    fn bytes(&self) -> usize {
        match self.stage {
            Stage::Told { bytes, .. } => bytes,
            Stage::Asking(..) => 0,
        }
    }
}

impl<A> Lead<A> {
    /// Tells all who wait, and keeps the answer of `bytes` for others. The words of the question count as well.
    pub fn keep(self, answer: A, bytes: usize)
    where
        A: Clone,
    {
        let bytes = bytes.saturating_add(self.question.words.len());
        self.replace(Some(Stage::Told { answer: answer.clone(), bytes, asked: self.asked }));
        self.tell.send_replace(Some(answer));
    }

    /// Tells all who wait, and nobody who comes later: failures are not kept.
    pub fn tell(self, answer: A) {
        self.replace(None);
        self.tell.send_replace(Some(answer));
    }

    /// Ends the asking, if a change has not done so.
    fn replace(&self, stage: Option<Stage<A>>) {
        let at = usize::try_from(self.fresh.hasher.hash_one(&self.question.meeting) % PARTS as u64);
        let Some(part) = self.fresh.parts.get(at.unwrap_or(0)) else { return };
        let mut part = part.lock();
        let kept_bytes = part.kept_bytes;
        let Some(entries) = part.meetings.get_mut(&self.question.meeting) else { return };
        let number = self.number;
        let asking = |entry: &Entry<A>| matches!(entry.stage, Stage::Asking(n, _) if n == number);
        let Some(at) = entries.iter().position(asking) else { return };
        let mut entry = entries.swap_remove(at);
        if let Some(stage) = stage {
            entry.stage = stage;
            if kept_bytes + entry.bytes() <= PART_BYTES_MAX {
                let bytes = entry.bytes();
                entries.push(entry);
                part.kept_bytes += bytes;
                return;
            }
        }
        if entries.is_empty() {
            part.meetings.remove(&self.question.meeting);
        }
    }
}

impl<A> Drop for Lead<A> {
    fn drop(&mut self) {
        // After `keep` and `tell` there is nothing left to end.
        self.replace(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::id::{MeetingId, TenantId};

    const SECOND: Duration = Duration::from_secs(1);

    fn question(meeting: &str, words: &str) -> Question {
        let id = MeetingId::new(meeting).unwrap();
        let meeting = Key { tenant: TenantId::DEFAULT, id };
        Question { meeting, server: ServerId(0), words: words.to_owned() }
    }

    fn lead(fresh: &Arc<Fresh<u32>>, question: Question, at: u64) -> Lead<u32> {
        match fresh.ask(question, SECOND, Moment(at)) {
            Ask::Lead(lead) => lead,
            Ask::Told(answer) => panic!("told {answer}"),
            Ask::Wait(_) => panic!("somebody is asking"),
        }
    }

    fn told(fresh: &Arc<Fresh<u32>>, question: Question, at: u64) -> Option<u32> {
        match fresh.ask(question, SECOND, Moment(at)) {
            Ask::Told(answer) => Some(answer),
            Ask::Wait(_) | Ask::Lead(_) => None,
        }
    }

    #[test]
    fn an_answer_is_fresh_for_as_long_as_was_said() {
        let fresh = Arc::<Fresh<u32>>::default();
        lead(&fresh, question("m", "info"), 1000).keep(7, 10);
        assert_eq!(told(&fresh, question("m", "info"), 1999), Some(7));
        drop(lead(&fresh, question("m", "info"), 2000));
    }

    #[test]
    fn only_the_same_question_to_the_same_server_has_the_answer() {
        let fresh = Arc::<Fresh<u32>>::default();
        lead(&fresh, question("m", "info"), 0).keep(7, 10);
        let elsewhere = Question { server: ServerId(1), ..question("m", "info") };
        for other in [question("n", "info"), question("m", "running"), elsewhere] {
            drop(lead(&fresh, other, 1));
        }
    }

    #[test]
    fn one_asks_and_the_others_wait() {
        let fresh = Arc::<Fresh<u32>>::default();
        let lead = lead(&fresh, question("m", "info"), 0);
        let Ask::Wait(waiting) = fresh.ask(question("m", "info"), SECOND, Moment(5000)) else {
            panic!("two are asking")
        };
        lead.tell(3);
        assert_eq!(*waiting.borrow(), Some(3));
        assert_eq!(told(&fresh, question("m", "info"), 1), None, "a failure was kept");
    }

    #[test]
    fn who_gives_up_makes_room_for_the_next() {
        let fresh = Arc::<Fresh<u32>>::default();
        let first = lead(&fresh, question("m", "info"), 0);
        let Ask::Wait(waiting) = fresh.ask(question("m", "info"), SECOND, Moment(0)) else {
            panic!("two are asking")
        };
        drop(first);
        assert!(waiting.has_changed().is_err());
        drop(lead(&fresh, question("m", "info"), 0));
    }

    #[test]
    fn a_change_makes_void_what_was_asked_before() {
        let fresh = Arc::<Fresh<u32>>::default();
        lead(&fresh, question("m", "info"), 0).keep(7, 10);
        let slow = lead(&fresh, question("m", "running"), 0);
        fresh.changed(&question("m", "").meeting);
        let after = lead(&fresh, question("m", "running"), 1);
        // The old answer comes late and is not for those who ask now.
        slow.keep(1, 10);
        after.keep(2, 10);
        assert_eq!(told(&fresh, question("m", "running"), 2), Some(2));
        drop(lead(&fresh, question("m", "info"), 2));
    }

    #[test]
    fn what_is_kept_is_bounded_and_let_go() {
        let fresh = Arc::<Fresh<u32>>::default();
        for number in 0..100 {
            lead(&fresh, question("m", &number.to_string()), 0)
                .keep(number, PART_BYTES_MAX / 10 - 10);
        }
        let kept = (0..100).filter(|n| {
            matches!(fresh.ask(question("m", &n.to_string()), SECOND, Moment(1)), Ask::Told(_))
        });
        assert_eq!(kept.count(), 10);
        lead(&fresh, question("m", "late"), 1000).keep(0, PART_BYTES_MAX - 10);
        assert_eq!(told(&fresh, question("m", "late"), 1001), Some(0));
    }
}
