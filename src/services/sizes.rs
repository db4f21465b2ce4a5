//! Writes down how large meetings were, now and then and at the end, so that a restart does not forget it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::cluster::moment::Moment;
use crate::state::State;

/// What a crash may cost.
const INTERVAL: Duration = Duration::from_secs(60);

/// Until `shutdown` turns true, and once more then.
pub(crate) async fn run(state: Arc<State>, mut shutdown: watch::Receiver<bool>) {
    let mut written = state.now();
    loop {
        let stopping = tokio::select! {
            () = tokio::time::sleep(INTERVAL) => false,
            _ = shutdown.wait_for(|stop| *stop) => true,
        };
        written = write(&state, written).await;
        if stopping {
            return;
        }
    }
}

/// Writes what was learned since `before`. When that was.
async fn write(state: &State, before: Moment) -> Moment {
    let now = state.now();
    let Some(store) = state.store() else { return now };
    let mut records = state.cluster().sizes().export(now);
    let since = now.since(before);
    records.ids.retain(|record| record.age <= since);
    if !records.ids.is_empty() {
        store.keep_sizes(&records).await;
    }
    now
}
