//! The cluster as threads and tasks share it: the pure core behind one lock, the clock, and what waits for
//! what. Critical sections are a few map operations; nothing is awaited while the lock is held.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

use crate::bbb::id::{MeetingId, TenantId};
use crate::bbb::meetings::SeenMeeting;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cluster::claim::{Claim, Made};
use crate::cluster::health::Change;
use crate::cluster::meetings::ClaimId;
use crate::cluster::moment::Moment;
use crate::cluster::observe::Observed;
use crate::cluster::placement::explain::Explanation;
use crate::cluster::server::{ServerId, ServerSpec};
use crate::cluster::wish::Wish;
use crate::recording::owners::Owners;

/// About 20 MB at most.
const RECORDINGS_REMEMBERED_MAX: usize = 100_000;

/// A server's last good getMeetings answer, for when it does not answer (design section 2).
#[derive(Debug, Clone)]
pub struct MeetingList {
    /// The whole answer.
    pub body: Bytes,
    /// The meetings in it.
    pub meetings: Arc<[SeenMeeting]>,
}

/// What all services share.
pub struct State {
    clock: Clock,
    cluster: Mutex<Cluster>,
    outcomes: Mutex<HashMap<ClaimId, watch::Receiver<()>>>,
    lists: Mutex<HashMap<ServerId, MeetingList>>,
    owners: Mutex<Owners<ServerId>>,
    probe_soon: HashMap<ServerId, Arc<Notify>>,
}

/// What a create may do; [`Claim`] with the waiting and the outcome made safe.
pub enum Turn {
    /// Make the meeting on this server. The guard must be told how it went; if it is dropped untold, what
    /// it knows decides.
    Make(ClaimGuard),
    /// Repeat the create on this server and nowhere else.
    Repeat(ServerId),
    /// No server may take a new meeting.
    Unavailable,
    /// No server that may has a tag that was insisted on.
    TagUnavailable,
    /// Another create of the same ID took longer than this one may wait.
    Timeout,
}

impl State {
    /// Shares `cluster`, whose servers stay the same from here on.
    pub fn new(cluster: Cluster, clock: Clock) -> Self {
        let probe_soon = cluster.members().map(|(id, _)| (id, Arc::new(Notify::new()))).collect();
        Self {
            clock,
            cluster: Mutex::new(cluster),
            outcomes: Mutex::default(),
            lists: Mutex::default(),
            owners: Mutex::new(Owners::new(RECORDINGS_REMEMBERED_MAX)),
            probe_soon,
        }
    }

    /// The view of the cluster; hold it only as long as a decision takes.
    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock()
    }

    /// Now, on the clock that everything in the cluster is dated by.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The servers as configured, in their order.
    pub fn servers(&self) -> Vec<(ServerId, Arc<ServerSpec>)> {
        self.cluster().members().map(|(id, member)| (id, member.spec.clone())).collect()
    }

    /// Finds the meeting's server or claims the ID; waits at most `patience` for another create of it.
    pub async fn claim(
        self: &Arc<Self>,
        tenant: TenantId,
        id: &MeetingId,
        wish: &Wish,
        patience: Duration,
    ) -> Turn {
        let waiting = async {
            loop {
                let mut outcome = match self.try_claim(tenant, id, wish) {
                    Ok(turn) => return turn,
                    Err(outcome) => outcome,
                };
                // Ends with an error when the claim's guard is gone, which is what is waited for.
                let _ = outcome.changed().await;
            }
        };
        tokio::time::timeout(patience, waiting).await.unwrap_or(Turn::Timeout)
    }

    fn try_claim(
        self: &Arc<Self>,
        tenant: TenantId,
        id: &MeetingId,
        wish: &Wish,
    ) -> Result<Turn, watch::Receiver<()>> {
        let mut cluster = self.cluster();
        match cluster.claim(tenant, id, wish, self.now()) {
            Claim::Existing(server) => Ok(Turn::Repeat(server)),
            Claim::Unavailable => Ok(Turn::Unavailable),
            Claim::TagUnavailable => Ok(Turn::TagUnavailable),
            Claim::Won(claim, server) => {
                let (told, outcome) = watch::channel(());
                // Under the cluster's lock, so that nobody is told to wait for a claim that is not here yet.
                self.outcomes.lock().insert(claim, outcome);
                let why = cluster.explanations().last().cloned();
                drop(cluster);
                log_decision(why.as_ref());
                let state = self.clone();
                Ok(Turn::Make(ClaimGuard {
                    state,
                    claim,
                    server,
                    sent: false,
                    open: true,
                    _told: told,
                }))
            }
            Claim::Wait(claim) => match self.outcomes.lock().get(&claim) {
                Some(outcome) => Err(outcome.clone()),
                None => Err(watch::channel(()).1),
            },
        }
    }

    /// Somebody was sent to a meeting.
    pub fn joined(&self, tenant: TenantId, id: &MeetingId) {
        let now = self.now();
        self.cluster().joined(tenant, id, now);
    }

    /// A server listed its meetings; `asked` is when it was asked.
    pub fn observe(&self, server: ServerId, list: MeetingList, asked: Moment) -> Observed {
        let observed = self.cluster().observe(server, &list.meetings, asked, self.now());
        self.keep_list(server, list);
        observed
    }

    /// A probe failed.
    pub fn failed(&self, server: ServerId) -> Option<Change> {
        self.cluster().failed(server, self.now())
    }

    /// Traffic could not connect to the server; asks for a probe at once when that is news.
    pub fn refused(&self, server: ServerId) -> Option<Change> {
        let change = self.cluster().refused(server, self.now());
        if change.is_some() {
            self.probe_soon(server);
        }
        change
    }

    /// Keeps what a server listed outside a probe, for when it does not answer.
    pub fn keep_list(&self, server: ServerId, list: MeetingList) {
        self.lists.lock().insert(server, list);
    }

    /// The last good list of `server`.
    pub fn last_list(&self, server: ServerId) -> Option<MeetingList> {
        self.lists.lock().get(&server).cloned()
    }

    /// Which server has which recording, as far as it is remembered.
    pub fn owners(&self) -> MutexGuard<'_, Owners<ServerId>> {
        self.owners.lock()
    }

    /// Asks for a probe of `server` without waiting for its turn.
    pub fn probe_soon(&self, server: ServerId) {
        if let Some(wish) = self.probe_soon.get(&server) {
            wish.notify_one();
        }
    }

    /// Resolves when somebody asked for a probe of `server`.
    pub async fn probe_wished(&self, server: ServerId) {
        match self.probe_soon.get(&server) {
            Some(wish) => wish.notified().await,
            None => std::future::pending().await,
        }
    }
}

/// The line that tells an operator why a meeting is where it is.
fn log_decision(why: Option<&Explanation>) {
    if let Some(why) = why {
        log::info!("meeting placed; {why}");
    }
}

/// The claim on an ID, held by one create. Whatever happens to that create, the claim ends with it: untold, a
/// claim of which nothing was sent is released, one that was sent leaves the meeting in doubt.
pub struct ClaimGuard {
    state: Arc<State>,
    claim: ClaimId,
    server: ServerId,
    sent: bool,
    open: bool,
    /// Dropped with the guard, which is how those who wait learn of it.
    _told: watch::Sender<()>,
}

impl ClaimGuard {
    /// The server to make the meeting on.
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// The create is about to be sent: from here on only an answer can tell that nothing was made.
    pub fn sending(&mut self) {
        self.sent = true;
    }

    /// This server certainly made nothing: the next one, if there is one that was not tried.
    pub fn next_server(&mut self) -> Option<ServerId> {
        self.sent = false;
        let now = self.state.now();
        let mut cluster = self.state.cluster();
        let next = cluster.move_claim(self.claim, now)?;
        let why = cluster.explanations().last().cloned();
        drop(cluster);
        log_decision(why.as_ref());
        self.server = next;
        Some(next)
    }

    /// The server made the meeting, or has it.
    pub fn settle(mut self, made: Made) {
        self.open = false;
        self.state.cluster().settle(self.claim, made, self.state.now());
    }

    /// The server answered that it made nothing.
    pub fn release(mut self) {
        self.open = false;
        self.state.cluster().release(self.claim);
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        if self.open && self.sent {
            self.state.cluster().doubt(self.claim, self.state.now());
            self.state.probe_soon(self.server);
        } else if self.open {
            self.state.cluster().release(self.claim);
        }
        self.state.outcomes.lock().remove(&self.claim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::testing::{TENANT, id, up};

    fn state() -> Arc<State> {
        Arc::new(State::new(up(2), Clock::start()))
    }

    const PATIENCE: Duration = Duration::from_secs(5);

    async fn guard(state: &Arc<State>) -> ClaimGuard {
        let Turn::Make(guard) = state.claim(TENANT, &id("m"), &Wish::default(), PATIENCE).await
        else {
            panic!()
        };
        guard
    }

    #[tokio::test]
    async fn those_who_wait_learn_the_outcome() {
        let state = state();
        let guard = guard(&state).await;
        let server = guard.server();
        let waiting: Vec<_> = (0..200)
            .map(|_| {
                let state = state.clone();
                tokio::spawn(async move {
                    state.claim(TENANT, &id("m"), &Wish::default(), PATIENCE).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        guard.settle(Made::default());
        for turn in waiting {
            let Turn::Repeat(at) = turn.await.unwrap() else { panic!() };
            assert_eq!(at, server);
        }
        assert!(state.outcomes.lock().is_empty());
    }

    #[tokio::test]
    async fn patience_ends() {
        let state = state();
        let _guard = guard(&state).await;
        let turn = state.claim(TENANT, &id("m"), &Wish::default(), Duration::from_millis(1)).await;
        assert!(matches!(turn, Turn::Timeout));
    }

    #[tokio::test]
    async fn a_dropped_create_releases_what_was_not_sent_and_doubts_what_was() {
        let state = state();
        drop(guard(&state).await);
        assert_eq!(state.cluster().meetings().count(), 0);
        let mut sent = guard(&state).await;
        let server = sent.server();
        sent.sending();
        drop(sent);
        let turn = state.claim(TENANT, &id("m"), &Wish::default(), PATIENCE).await;
        assert!(matches!(turn, Turn::Repeat(at) if at == server));
        assert_eq!(state.cluster().open_claims(), 0);
    }
}
