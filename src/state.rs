//! The cluster as threads and tasks share it: the pure core behind one lock, the clock, and what waits for
//! what. Critical sections are a few map operations; nothing is awaited while the lock is held.

pub mod claims;
pub mod connections;
pub mod events;
pub mod fresh;
pub mod hooks;
pub mod in_flight;
pub mod operate;
pub mod outbox;
pub mod roster;
pub mod sibling;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc, watch};

use crate::bbb::id::{InternalId, KeyHash, MeetingId, TenantId};
use crate::bbb::meetings::SeenMeeting;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cluster::health::Change;
use crate::cluster::meetings::ClaimId;
use crate::cluster::moment::Moment;
use crate::cluster::observe::Observed;
use crate::cluster::server::{ServerId, ServerSpec};
use crate::metrics::polls::Polls;
use crate::recording::owners::Owners;
use crate::state::connections::Connections;
use crate::state::events::Events;
use crate::state::in_flight::InFlight;
use crate::state::operate::Drains;
use crate::state::sibling::Sibling;
use crate::store::{Over, Store};

/// About 20 MB at most.
const RECORDINGS_REMEMBERED_MAX: usize = 100_000;

/// Claims waiting to be forgotten by the store. Beyond that they stay there until the next start.
const FORGETTING_MAX: usize = 10_000;

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
    probe_soon: Mutex<HashMap<ServerId, Arc<Notify>>>,
    members: watch::Sender<()>,
    in_flight: InFlight,
    connections: Connections,
    store: ArcSwapOption<Store>,
    sibling: ArcSwapOption<Sibling>,
    polls: Polls,
    events: Events,
    drains: Drains,
    drains_changed: watch::Sender<()>,
    /// Meetings alive on a server although they are known on another one, as of its last answer.
    doubles: Mutex<HashMap<ServerId, Vec<InternalId>>>,
    forget: mpsc::Sender<(KeyHash, Over)>,
    forgetting: tokio::sync::Mutex<mpsc::Receiver<(KeyHash, Over)>>,
}

impl State {
    /// Shares `cluster`; servers come and go through `roster` from here on.
    pub fn new(cluster: Cluster, clock: Clock) -> Self {
        let (forget, forgetting) = mpsc::channel(FORGETTING_MAX);
        let probe_soon = cluster.members().map(|(id, _)| (id, Arc::new(Notify::new()))).collect();
        Self {
            clock,
            cluster: Mutex::new(cluster),
            outcomes: Mutex::default(),
            lists: Mutex::default(),
            owners: Mutex::new(Owners::new(RECORDINGS_REMEMBERED_MAX)),
            probe_soon: Mutex::new(probe_soon),
            members: watch::Sender::new(()),
            in_flight: InFlight::default(),
            polls: Polls::default(),
            events: Events::default(),
            drains: Drains::default(),
            drains_changed: watch::Sender::new(()),
            doubles: Mutex::default(),
            connections: Connections::default(),
            store: ArcSwapOption::empty(),
            sibling: ArcSwapOption::empty(),
            forget,
            forgetting: tokio::sync::Mutex::new(forgetting),
        }
    }

    /// Keeps in `store`, from now on, what must outlive the process, or what another process must know.
    pub fn keep_in(&self, store: Store) {
        self.store.store(Some(Arc::new(store)));
    }

    /// Keeps nothing any more: there is nobody else who must know, and nothing is to outlive the process.
    pub fn keep_nowhere(&self) {
        self.store.store(None);
    }

    /// What outlives the process, if anything does.
    pub fn store(&self) -> Option<Arc<Store>> {
        self.store.load_full()
    }

    /// Asks the store to forget a claim, soon; `last` is the newest claim on it that is over, and `asked` is
    /// when the question was asked whose answer says so.
    fn forget(&self, meeting: KeyHash, last: ClaimId, asked: Moment) {
        // What the other process claimed and has not made yet looks as if it were over.
        if self.store.load().is_some() && !self.has_sibling() {
            let over = Over::since(last, self.now().since(asked));
            // Full: the claim is found to be over at the next start.
            let _ = self.forget.try_send((meeting, over));
        }
    }

    /// Forgets in the store what was asked for, for ever.
    pub async fn keep_forgetting(&self) {
        let mut forgetting = self.forgetting.lock().await;
        while let Some((meeting, over)) = forgetting.recv().await {
            if let Some(store) = self.store() {
                store.forget(meeting, over).await;
            }
        }
        std::future::pending().await
    }

    /// Forgets in the store what was asked for so far.
    pub async fn keep_forgetting_until_idle(&self) {
        let Some(store) = self.store() else { return };
        let mut forgetting = self.forgetting.lock().await;
        while let Ok((meeting, over)) = forgetting.try_recv() {
            store.forget(meeting, over).await;
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

    /// How long servers took to list their meetings.
    pub fn polls(&self) -> &Polls {
        &self.polls
    }

    /// What a stop waits for.
    pub fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// The connections of clients.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// The servers, in the order they came.
    pub fn servers(&self) -> Vec<(ServerId, Arc<ServerSpec>)> {
        self.cluster().members().map(|(id, member)| (id, member.spec.clone())).collect()
    }

    /// Somebody was sent to a meeting.
    pub fn joined(&self, tenant: TenantId, id: &MeetingId) {
        let now = self.now();
        self.cluster().joined(tenant, id, now);
    }

    /// A server listed its meetings; `asked` is when it was asked.
    pub fn observe(&self, server: ServerId, list: MeetingList, asked: Moment) -> Observed {
        let (observed, last) = {
            let mut cluster = self.cluster();
            let observed = cluster.observe(server, &list.meetings, asked, self.now());
            (observed, cluster.last_claim())
        };
        for meeting in &observed.gone {
            self.forget(*meeting, last, asked);
        }
        if observed.doubled.is_empty() {
            self.doubles.lock().remove(&server);
        } else {
            self.doubles.lock().insert(server, observed.doubled.clone());
        }
        self.keep_list(server, list);
        observed
    }

    /// A server answered a call, asked at `asked`, with its "no such meeting". True if the meeting is gone
    /// now.
    pub fn not_found(
        &self,
        tenant: TenantId,
        id: &MeetingId,
        server: ServerId,
        asked: Moment,
    ) -> bool {
        let (gone, last) = {
            let mut cluster = self.cluster();
            (cluster.not_found(tenant, id, server, asked, self.now()), cluster.last_claim())
        };
        if gone {
            self.forget(KeyHash::of(tenant, id), last, asked);
        }
        gone
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
        if let Some(wish) = self.probe_soon.lock().get(&server) {
            wish.notify_one();
        }
    }

    /// Resolves when somebody asked for a probe of `server`.
    pub async fn probe_wished(&self, server: ServerId) {
        let wish = self.probe_soon.lock().get(&server).cloned();
        match wish {
            Some(wish) => wish.notified().await,
            None => std::future::pending().await,
        }
    }
}
