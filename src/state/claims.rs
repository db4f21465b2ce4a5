//! Creates taking turns: one at a time per meeting ID, in this process by memory and between processes by the
//! store. Whatever happens to a create, its claim ends with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::bbb::id::{KeyHash, MeetingId, TenantId};
use crate::cluster::claim::{Claim, Made};
use crate::cluster::meetings::ClaimId;
use crate::cluster::placement::explain::Explanation;
use crate::cluster::server::{ServerId, ServerName};
use crate::cluster::wish::Wish;
use crate::state::State;

/// What a create may do; [`Claim`] with the waiting and the outcome made safe.
pub enum Turn {
    /// Make the meeting on this server. The guard must be told how it went; if it is dropped untold, what
    /// it knows decides.
    Make(ClaimGuard),
    /// Repeat the create on this server and nowhere else; the guard lives as long as that takes.
    Repeat(RepeatGuard),
    /// No server may take a new meeting.
    Unavailable,
    /// No server that may has a tag that was insisted on.
    TagUnavailable,
    /// Another create of the same ID took longer than this one may wait.
    Timeout,
}

impl State {
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
                    Ok(Turn::Make(guard)) => return self.claim_in_store(guard).await,
                    Ok(Turn::Repeat(guard)) => {
                        self.tell_store(&guard).await;
                        return Turn::Repeat(guard);
                    }
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
            Claim::Existing(server) => Ok(Turn::Repeat(self.repeat(tenant, id, server))),
            Claim::Unavailable => Ok(Turn::Unavailable),
            Claim::TagUnavailable => Ok(Turn::TagUnavailable),
            Claim::Won(claim, server) => {
                let (told, outcome) = watch::channel(());
                // Under the cluster's lock, so that nobody is told to wait for a claim that is not here yet.
                self.outcomes.lock().insert(claim, outcome);
                let why = cluster.explanations().last().cloned();
                drop(cluster);
                log_decision(why.as_ref());
                Ok(Turn::Make(ClaimGuard {
                    state: self.clone(),
                    tenant,
                    id: id.clone(),
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

    /// Tells the store of a meeting that this process did not claim but relies on now.
    async fn tell_store(&self, repeat: &RepeatGuard) {
        let Some(store) = self.store() else { return };
        let (untold, last) = {
            let mut cluster = self.cluster();
            (cluster.untold(repeat.tenant, &repeat.id), cluster.last_claim())
        };
        if untold && let Some(server) = self.server_name(repeat.server) {
            store.claim(KeyHash::of(repeat.tenant, &repeat.id), last, &server).await;
        }
    }

    /// Memory has decided; now the store, which other processes see and which outlives this one.
    async fn claim_in_store(self: &Arc<Self>, mut guard: ClaimGuard) -> Turn {
        let (Some(store), Some(ours)) = (self.store(), self.server_name(guard.server)) else {
            return Turn::Make(guard);
        };
        let theirs = match store.claim(guard.meeting(), guard.claim, &ours).await {
            Some(name) if name != ours => name,
            Some(_) | None => return Turn::Make(guard),
        };
        let now = self.now();
        let server = self.server_of(&theirs);
        if let Some(server) = server.filter(|server| !self.cluster().is_lost(*server, now)) {
            guard.open = false;
            self.cluster().yield_claim(guard.claim, server, now);
            return Turn::Repeat(self.repeat(guard.tenant, &guard.id, server));
        }
        store.take_over(guard.meeting(), guard.claim, &ours).await;
        Turn::Make(guard)
    }

    fn repeat(self: &Arc<Self>, tenant: TenantId, id: &MeetingId, server: ServerId) -> RepeatGuard {
        RepeatGuard { state: self.clone(), tenant, id: id.clone(), server }
    }

    fn server_name(&self, server: ServerId) -> Option<ServerName> {
        self.cluster().member(server).map(|member| member.spec.name.clone())
    }

    pub(crate) fn server_of(&self, name: &ServerName) -> Option<ServerId> {
        let cluster = self.cluster();
        cluster.members().find(|(_, member)| member.spec.name == *name).map(|(id, _)| id)
    }
}

/// The line that tells an operator why a meeting is where it is.
fn log_decision(why: Option<&Explanation>) {
    if let Some(why) = why {
        log::info!("meeting placed; {why}");
    }
}

/// A repeated create on its way: while it is, its meeting is not believed to be absent.
pub struct RepeatGuard {
    state: Arc<State>,
    tenant: TenantId,
    id: MeetingId,
    server: ServerId,
}

impl RepeatGuard {
    /// The server to repeat it on.
    pub fn server(&self) -> ServerId {
        self.server
    }
}

impl Drop for RepeatGuard {
    fn drop(&mut self) {
        let now = self.state.now();
        self.state.cluster().repeat_over(self.tenant, &self.id, self.server, now);
    }
}

/// The claim on an ID, held by one create. Whatever happens to that create, the claim ends with it: untold, a
/// claim of which nothing was sent is released, one that was sent leaves the meeting in doubt.
pub struct ClaimGuard {
    state: Arc<State>,
    tenant: TenantId,
    id: MeetingId,
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

    fn meeting(&self) -> KeyHash {
        KeyHash::of(self.tenant, &self.id)
    }

    /// The server was asked, because the create was in doubt, and has the meeting: the create may be
    /// repeated there, and nowhere else any more.
    pub fn found(mut self) -> RepeatGuard {
        self.open = false;
        self.state.cluster().found(self.claim, self.state.now());
        self.state.repeat(self.tenant, &self.id, self.server)
    }

    /// The create is about to be sent: from here on only an answer can tell that nothing was made.
    pub fn sending(&mut self) {
        self.sent = true;
    }

    /// This server certainly made nothing: the next one, if there is one that was not tried and nobody has
    /// come to rely on this one.
    pub async fn next_server(&mut self) -> Option<ServerId> {
        self.sent = false;
        let from = self.server;
        let now = self.state.now();
        let (next, why) = {
            let mut cluster = self.state.cluster();
            let next = cluster.move_claim(self.claim, now)?;
            (next, cluster.explanations().last().cloned())
        };
        log_decision(why.as_ref());
        if let (Some(store), Some(from_name), Some(next_name)) =
            (self.state.store(), self.state.server_name(from), self.state.server_name(next))
            && !store.move_claim(self.meeting(), &from_name, &next_name).await
        {
            self.open = false;
            self.state.cluster().yield_claim(self.claim, from, self.state.now());
            return None;
        }
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
        self.free();
    }

    fn free(&mut self) {
        self.open = false;
        self.state.cluster().release(self.claim);
        self.state.forget(self.meeting(), self.claim, self.state.now());
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        if self.open && self.sent {
            self.state.cluster().doubt(self.claim, self.state.now());
            self.state.probe_soon(self.server);
        } else if self.open {
            self.free();
        }
        self.state.outcomes.lock().remove(&self.claim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::cluster::testing::{TENANT, id, up};
    use crate::store::Store;

    fn state() -> Arc<State> {
        Arc::new(State::new(up(2), Clock::start()))
    }

    /// A state like that of another process on the same store.
    async fn with_store(folder: &tempfile::TempDir) -> Arc<State> {
        let state = state();
        state.keep_in(Store::open(folder.path()).await.unwrap());
        state
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
            let Turn::Repeat(repeat) = turn.await.unwrap() else { panic!() };
            assert_eq!(repeat.server(), server);
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
        assert!(matches!(turn, Turn::Repeat(at) if at.server() == server));
        assert_eq!(state.cluster().open_claims(), 0);
    }

    #[tokio::test]
    async fn two_processes_make_a_meeting_on_one_server() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (with_store(&folder).await, with_store(&folder).await);
        // Round robin begins with the same server in both; let the new one begin with the other.
        drop(new.claim(TENANT, &id("x"), &Wish::default(), PATIENCE).await);
        let mut first = guard(&old).await;
        first.sending();
        let turn = new.claim(TENANT, &id("m"), &Wish::default(), PATIENCE).await;
        assert!(matches!(turn, Turn::Repeat(repeat) if repeat.server() == first.server()));
        // Somebody relies on that server now: the create must not move on.
        assert_eq!(first.next_server().await, None);
    }

    #[tokio::test]
    async fn a_claim_that_was_released_is_open_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (with_store(&folder).await, with_store(&folder).await);
        drop(guard(&old).await);
        old.keep_forgetting_until_idle().await;
        assert!(matches!(
            new.claim(TENANT, &id("m"), &Wish::default(), PATIENCE).await,
            Turn::Make(_)
        ));
    }
}
