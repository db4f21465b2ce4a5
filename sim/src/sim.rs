//! The handle of one running server: start it, stop it, look at it, change it, break it.
//!
//! Everything a test does to a server goes through here; nothing here goes through the API.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::api::create::adopt;
use crate::callback;
use crate::calls::ReceivedCall;
use crate::checksum::Algorithm;
use crate::clock;
use crate::config::SimConfig;
use crate::fault::Fault;
use crate::ids;
use crate::listening::Listening;
use crate::node::Node;
use crate::params::Params;
use crate::state::crowd::{self, Crowd};
use crate::state::meeting::Meeting;
use crate::state::recording::{Recording, RecordingState};
use crate::view::MeetingView;
use crate::webhook;

/// One simulated server. Clones are handles of the same server; it ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Sim {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Arc<Node>,
    listening: tokio::sync::Mutex<Listening>,
}

impl Sim {
    /// Starts a server on a free port of 127.0.0.1.
    pub async fn start(config: SimConfig) -> io::Result<Self> {
        Self::start_on(config, TcpListener::bind("127.0.0.1:0").await?).await
    }

    /// Starts a server on a listener.
    pub async fn start_on(config: SimConfig, listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let node = Arc::new(Node::new(config, address, Handle::current()));
        let listening = tokio::sync::Mutex::new(Listening::start(&node, listener));
        Ok(Self { inner: Arc::new(Inner { node, listening }) })
    }

    fn node(&self) -> &Arc<Node> {
        &self.inner.node
    }

    /// The API's base URL: `http://127.0.0.1:PORT/bigbluebutton/api`.
    pub fn url(&self) -> String {
        format!("http://{}/bigbluebutton/api", self.address())
    }

    /// Where it listens, or listened while stopped.
    pub fn address(&self) -> SocketAddr {
        self.node().address
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.node().config.name
    }

    /// The shared secret.
    pub fn secret(&self) -> String {
        self.node().state().secret.clone()
    }

    /// Changes the shared secret, as an operator may.
    pub fn set_secret(&self, secret: &str) {
        self.node().state().secret = secret.to_owned();
    }

    /// Restricts or widens the accepted checksum algorithms.
    pub fn set_algorithms(&self, algorithms: &[Algorithm]) {
        self.node().state().algorithms = algorithms.to_vec();
    }

    /// A whole URL of `call` with the encoded `query`, signed with SHA-256.
    pub fn signed_url(&self, call: &str, query: &str) -> String {
        let sum = Algorithm::Sha256.hex(&format!("{call}{query}{}", self.secret()));
        let separator = if query.is_empty() { "" } else { "&" };
        format!("{}/{call}?{query}{separator}checksum={sum}", self.url())
    }

    /// The server dies: open connections are reset and new ones refused. What it knows is kept.
    pub async fn stop(&self) {
        self.inner.listening.lock().await.stop().await;
    }

    /// Listens on the same port again. Does nothing if it was not stopped.
    pub async fn restart(&self) -> io::Result<()> {
        self.inner.listening.lock().await.restart(self.node())
    }

    /// Whether it is listening.
    pub async fn is_up(&self) -> bool {
        self.inner.listening.lock().await.is_up()
    }

    /// Loses one meeting without a word to anybody. Says whether there was one.
    pub fn forget(&self, meeting: &str) -> bool {
        let mut state = self.node().state();
        let gone = state.resolve(meeting).and_then(|internal| state.remove(&internal)).is_some();
        drop(state);
        self.node().changed();
        gone
    }

    /// Loses all meetings, sessions and hooks, as a restarted server has. Recordings stay.
    pub fn lose_all(&self) {
        self.node().state().lose_all();
        self.node().changed();
    }

    /// Ends a meeting as the `end` call does, callbacks included. Says whether there was one.
    pub fn end(&self, meeting: &str) -> bool {
        self.node().end_meeting(meeting)
    }

    /// From now on `fault` happens on every call, or on every `call` of this name (see [`ReceivedCall::name`]).
    /// Replaces what was set for ever with the same scope.
    pub fn set_fault(&self, fault: Fault, call: Option<&str>) {
        self.node().faults().set(fault, call, None);
    }

    /// `fault` happens once, before any that is set for ever.
    pub fn set_fault_once(&self, fault: Fault, call: Option<&str>) {
        self.set_fault_times(fault, call, 1);
    }

    /// `fault` happens `times` times. Counted faults happen in the order they were set.
    pub fn set_fault_times(&self, fault: Fault, call: Option<&str>, times: u32) {
        if times > 0 {
            self.node().faults().set(fault, call, Some(times));
        }
    }

    /// All is well again. Calls that hang already stay hanging.
    pub fn clear_faults(&self) {
        self.node().faults().clear();
    }

    /// How many faults are set and not used up.
    pub fn fault_count(&self) -> usize {
        self.node().faults().len()
    }

    fn change(&self, meeting: &str, change: impl FnOnce(&mut Meeting)) -> bool {
        let found = self.node().state().meeting_mut(meeting).map(change).is_some();
        self.node().changed();
        found
    }

    /// `count` people enter; the first one into an empty meeting is a moderator. Says whether the meeting exists.
    pub fn add_users(&self, meeting: &str, count: u32) -> bool {
        self.change(meeting, |meeting| crowd::add(meeting, count))
    }

    /// The last `count` people leave. Says whether the meeting exists.
    pub fn remove_users(&self, meeting: &str, count: u32) -> bool {
        self.change(meeting, |meeting| crowd::remove(meeting, count, clock::now_ms()))
    }

    /// Replaces everybody in the meeting. Says whether it exists.
    pub fn set_users(&self, meeting: &str, crowd: Crowd) -> bool {
        self.change(meeting, |meeting| crowd::set(meeting, crowd, clock::now_ms()))
    }

    /// A moderator lets all waiting guests in. Says whether the meeting exists.
    pub fn admit_guests(&self, meeting: &str) -> bool {
        self.change(meeting, |meeting| {
            for guest in &mut meeting.registered {
                guest.waiting = false;
            }
        })
    }

    /// Somebody presses the record button. Says whether the meeting exists.
    pub fn press_record(&self, meeting: &str) -> bool {
        self.change(meeting, |meeting| meeting.recorded = meeting.record)
    }

    /// Starts `count` breakout rooms the way a moderator does, inside the server. Gives their external IDs,
    /// none if the parent is unknown.
    pub fn start_breakouts(&self, parent: &str, count: u32) -> Vec<String> {
        let mut state = self.node().state();
        let Some(internal) = state.resolve(parent) else {
            return Vec::new();
        };
        let now = clock::now_ms();
        let mut rooms = Vec::new();
        for sequence in 1..=count {
            let external = ids::breakout_external(&internal, now, sequence);
            let bridge = state.free_bridge();
            let Some(parent) = state.meeting_mut(&internal) else { break };
            let params = Params::parse(&format!("sequence={sequence}&isBreakout=true"));
            let mut room = Meeting::from_params(&params, &external, bridge, now);
            room.name = format!("{} (Room {sequence})", parent.name);
            adopt(parent, &mut room);
            state.insert(room);
            rooms.push(external);
        }
        drop(state);
        self.node().changed();
        rooms
    }

    /// Adds a recording, or replaces the one with the same record ID. Gives the record ID.
    pub fn add_recording(&self, recording: Recording) -> String {
        let recording = recording.complete();
        let id = recording.record_id.clone();
        self.node().state().recordings.insert(id.clone(), recording);
        self.node().changed();
        id
    }

    /// Publishes a recording and tells the front end, once per format. Says whether there is one.
    pub fn publish_recording(&self, record_id: &str) -> bool {
        let published = self.node().state().recordings.get_mut(record_id).map(|recording| {
            recording.state = RecordingState::Published;
            recording.clone()
        });
        if let Some(recording) = &published {
            callback::recording_ready(self.node(), recording);
        }
        self.node().changed();
        published.is_some()
    }

    /// Sends a meeting's learning analytics. Says whether it is there and asked for them.
    pub fn fire_analytics(&self, meeting: &str) -> bool {
        let state = self.node().state();
        state
            .meeting(meeting)
            .is_some_and(|found| callback::analytics(self.node(), found, &state.secret))
    }

    /// Something happened in a meeting, as bbb-webhooks tells it: `event` is the JSON of one event. Sent to
    /// every hook that asked for it. Says how many there are.
    pub fn fire_event(&self, id: &str, meeting: &str, event: &serde_json::Value) -> usize {
        webhook::fire(self.node(), id, meeting, event)
    }

    /// The registered webhooks: ID and callback URL.
    pub fn hooks(&self) -> Vec<(String, String)> {
        let state = self.node().state();
        state.hooks.iter().map(|hook| (hook.id.clone(), hook.callback_url.clone())).collect()
    }

    /// All recordings, deleted ones too.
    pub fn recordings(&self) -> Vec<Recording> {
        self.node().state().recordings.values().cloned().collect()
    }

    /// All live meetings, in no meaningful order.
    pub fn meetings(&self) -> Vec<MeetingView> {
        self.node().state().meetings().map(MeetingView::from).collect()
    }

    /// One live meeting by external or internal ID.
    pub fn meeting(&self, id: &str) -> Option<MeetingView> {
        self.node().state().meeting(id).map(MeetingView::from)
    }

    /// How many meetings are alive; cheaper than asking for all of them.
    pub fn meeting_count(&self) -> usize {
        self.node().state().meetings().count()
    }

    /// The calls received, oldest first, at most [`SimConfig::calls_max`].
    pub fn calls(&self) -> Vec<ReceivedCall> {
        self.node().calls().kept()
    }

    /// The remembered calls of one name, oldest first.
    pub fn calls_of(&self, name: &str) -> Vec<ReceivedCall> {
        self.calls().into_iter().filter(|call| call.name == name).collect()
    }

    /// How many calls of this name were received since the start or [`Self::clear_calls`], also if
    /// calls are not remembered.
    pub fn call_count(&self, name: &str) -> usize {
        self.node().calls().count(name)
    }

    /// Forgets the calls received so far.
    pub fn clear_calls(&self) {
        self.node().calls().clear();
    }

    /// Waits until `condition` holds; it is asked again after every call and every change on this server.
    /// `false` if it does not hold within `deadline`.
    pub async fn wait_until(
        &self,
        deadline: Duration,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> bool {
        let mut changes = self.node().watch();
        let holds = async {
            while !condition(self) {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(deadline, holds).await.is_ok()
    }
}

/// Starts `count` servers in this process, each on its own free port of 127.0.0.1, with the
/// configuration that `config` gives for its index. Stops at the first that cannot start.
pub async fn start_many(
    count: usize,
    mut config: impl FnMut(usize) -> SimConfig,
) -> io::Result<Vec<Sim>> {
    let mut sims = Vec::with_capacity(count);
    for index in 0..count {
        sims.push(Sim::start(config(index)).await?);
    }
    Ok(sims)
}
