//! The other process on the same listeners, while an upgrade lasts. Each tells the other of meetings that it
//! makes, before anybody is told that they are made, and asks before it denies one: a front end may reach either
//! with any request.
//!
//! Who makes a meeting is not decided here but by the store, which both have.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::bbb::id::{MeetingId, TenantId};
use crate::cluster::claim::Made;
use crate::cluster::server::ServerName;
use crate::state::State;

/// Notes on their way to the other process; there are as many creates under way at most.
const NOTES_MAX: usize = 10_000;
/// How long the other process has to say what it has made.
const PATIENCE: Duration = Duration::from_secs(1);

/// What one process tells the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// It made a meeting, or may have.
    Made(Birth),
    /// Has everything arrived that you told so far?
    Ask(u64),
    /// It has, now that you read this.
    Answer(u64),
}

/// A meeting that a process made, or may have made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// Whose.
    pub tenant: TenantId,
    /// What its front end calls it.
    pub id: MeetingId,
    /// Where.
    pub server: ServerName,
    /// What the server said; `None` if it did not.
    pub made: Option<Made>,
}

/// The other process.
pub struct Sibling {
    notes: mpsc::Sender<Note>,
    asked: Mutex<HashMap<u64, oneshot::Sender<()>>>,
    next: AtomicU64,
}

impl Sibling {
    /// One that is told by whoever reads the receiver.
    pub fn new() -> (Arc<Self>, mpsc::Receiver<Note>) {
        let (notes, told) = mpsc::channel(NOTES_MAX);
        let me = Self { notes, asked: Mutex::default(), next: AtomicU64::default() };
        (Arc::new(me), told)
    }

    fn tell(&self, note: Note) {
        // Full or gone: the other one learns of it from the servers, some seconds later.
        if self.notes.try_send(note).is_err() {
            log::debug!("the other process was not told of a meeting");
        }
    }

    /// Resolves when everything was taken in that the other process had told by now.
    async fn caught_up(&self) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.asked.lock().insert(number, answer);
        self.tell(Note::Ask(number));
        // An error means that the other process is gone.
        let _ = tokio::time::timeout(PATIENCE, answered).await;
        self.asked.lock().remove(&number);
    }
}

impl State {
    /// There is another process on the same listeners from now on; or no more.
    pub fn set_sibling(&self, sibling: Option<Arc<Sibling>>) {
        if let Some(gone) = self.sibling.swap(sibling) {
            // Whoever waits for an answer need not.
            gone.asked.lock().clear();
        }
    }

    /// Takes in what the other process told.
    pub fn hear(&self, note: Note) {
        let Some(sibling) = self.sibling.load_full() else { return };
        match note {
            Note::Made(birth) => self.take_in(&birth),
            Note::Ask(number) => sibling.tell(Note::Answer(number)),
            Note::Answer(number) => {
                if let Some(waiting) = sibling.asked.lock().remove(&number) {
                    // An error means that nobody waits any more.
                    let _ = waiting.send(());
                }
            }
        }
    }

    fn take_in(&self, birth: &Birth) {
        let Some(server) = self.server_of(&birth.server) else { return };
        let now = self.now();
        self.cluster().told(birth.tenant, &birth.id, server, birth.made.clone(), now);
    }

    /// Tells the other process, if there is one, of a meeting that was made here or may have been.
    pub(crate) fn tell_sibling(&self, birth: impl FnOnce() -> Option<Birth>) {
        if let Some(sibling) = &*self.sibling.load()
            && let Some(birth) = birth()
        {
            sibling.tell(Note::Made(birth));
        }
    }

    /// Asks the other process, if there is one and the meeting is unknown here, before anybody denies it.
    pub async fn ask_sibling(&self, tenant: TenantId, id: &MeetingId) {
        let Some(sibling) = self.sibling.load_full() else { return };
        if self.cluster().find(tenant, id).is_none() {
            sibling.caught_up().await;
        }
    }

    /// Whether there is another process on the same listeners.
    pub fn has_sibling(&self) -> bool {
        self.sibling.load().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::cluster::claim::Claim;
    use crate::cluster::testing::{TENANT, id, up};
    use crate::cluster::wish::Wish;
    use crate::state::claims::Turn;

    /// Two states whose notes reach each other.
    fn siblings() -> [Arc<State>; 2] {
        let states = [(); 2].map(|()| Arc::new(State::new(up(2), Clock::start())));
        for (from, to) in [(0, 1), (1, 0)] {
            let (sibling, mut notes) = Sibling::new();
            states[from].set_sibling(Some(sibling));
            let to = states[to].clone();
            tokio::spawn(async move {
                while let Some(note) = notes.recv().await {
                    to.hear(note);
                }
            });
        }
        states
    }

    #[tokio::test]
    async fn what_one_made_the_other_does_not_deny() {
        let [one, other] = siblings();
        let turn = one.claim(TENANT, &id("m"), &Wish::default(), PATIENCE).await;
        let Turn::Make(guard) = turn else { panic!() };
        let server = guard.server();
        guard.settle(Made::default());
        other.ask_sibling(TENANT, &id("m")).await;
        assert_eq!(other.cluster().find(TENANT, &id("m")).unwrap().server, server);
    }

    #[tokio::test]
    async fn what_one_may_have_made_is_left_to_that_server() {
        let [one, other] = siblings();
        let turn = one.claim(TENANT, &id("m"), &Wish::default(), PATIENCE).await;
        let Turn::Make(mut guard) = turn else { panic!() };
        let server = guard.server();
        guard.sending();
        drop(guard);
        other.ask_sibling(TENANT, &id("m")).await;
        let now = other.now();
        let claim = other.cluster().claim(TENANT, &id("m"), &Wish::default(), now);
        assert_eq!(claim, Claim::Existing(server));
    }

    #[tokio::test]
    async fn nobody_waits_for_one_that_is_gone() {
        let [one, _] = siblings();
        one.set_sibling(None);
        one.ask_sibling(TENANT, &id("m")).await;
        assert!(!one.has_sibling());
    }
}
