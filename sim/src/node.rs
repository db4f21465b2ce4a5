//! One simulated server without its socket: configuration, state, faults and the record of calls.
//!
//! Refuses to hold a lock across an await; every lock here is a plain one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::callback;
use crate::calls::CallLog;
use crate::clock;
use crate::config::SimConfig;
use crate::fault::Faults;
use crate::state::State;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: SimConfig,
    pub(crate) address: SocketAddr,
    /// For what happens later: meetings that end, callbacks. Tasks are bounded by meetings.
    pub(crate) runtime: Handle,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    calls: Mutex<CallLog>,
    /// Counts changes, so that tests can wait for one.
    changes: watch::Sender<u64>,
}

impl Node {
    pub(crate) fn new(config: SimConfig, address: SocketAddr, runtime: Handle) -> Self {
        Self {
            state: Mutex::new(State::new(&config)),
            faults: Mutex::default(),
            calls: Mutex::new(CallLog::new(config.calls_max)),
            changes: watch::Sender::new(0),
            config,
            address,
            runtime,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, CallLog> {
        lock(&self.calls)
    }

    /// Tells everybody who waits that something is different now.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Scheme and authority of the URLs this server hands out.
    pub(crate) fn origin(&self) -> String {
        self.config.public_url.as_ref().map_or_else(
            || format!("http://{}", self.address),
            |url| url.trim_end_matches('/').to_owned(),
        )
    }

    /// Ends the meeting `id` as `end` does: it is listed for a moment, then goes, and its callbacks fire.
    /// Says whether there was one.
    pub(crate) fn end_meeting(self: &Arc<Self>, id: &str) -> bool {
        let mut state = self.state();
        let Some(meeting) = state.meeting_mut(id) else {
            return false;
        };
        if meeting.ending {
            return true;
        }
        meeting.ending = true;
        let internal = meeting.internal_id.clone();
        drop(state);
        self.changed();
        if self.config.end_delay.is_zero() {
            self.finish(&internal);
        } else {
            let node = Arc::clone(self);
            self.runtime.spawn(async move {
                tokio::time::sleep(node.config.end_delay).await;
                node.finish(&internal);
            });
        }
        true
    }

    /// Removes a meeting that ended, its breakout rooms too, and fires the callbacks.
    fn finish(self: &Arc<Self>, internal: &str) {
        let mut state = self.state();
        let Some(meeting) = state.remove(internal) else {
            return;
        };
        for room in &meeting.breakouts {
            if let Some(room) = state.resolve(room) {
                state.remove(&room);
            }
        }
        drop(state);
        callback::meeting_ended(self, &meeting);
        self.changed();
    }

    /// Ends what has expired by now (`bbb-api.md` 7, lifetime). Does nothing unless minutes are configured.
    pub(crate) fn expire(self: &Arc<Self>) {
        let Some(minute) = self.config.minute else {
            return;
        };
        let minute = u64::try_from(minute.as_millis()).unwrap_or(u64::MAX);
        let now = clock::now_ms();
        let past = |start: u64, minutes: u64| {
            minutes > 0 && now.saturating_sub(start) >= minute.saturating_mul(minutes)
        };
        let due: Vec<String> = self
            .state()
            .meetings()
            .filter(|meeting| {
                past(meeting.create_time, meeting.duration_min)
                    || !meeting.has_user_joined
                        && past(meeting.create_time, meeting.expire_unused_min)
                    || meeting
                        .empty_since
                        .is_some_and(|since| past(since, meeting.expire_empty_min))
            })
            .map(|meeting| meeting.internal_id.clone())
            .collect();
        for internal in due {
            self.finish(&internal);
        }
    }
}

/// The data is plain and consistent between statements, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
