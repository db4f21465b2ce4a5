//! What outlives a restart, read before anything else: claims of meetings, what
//! operators set, hooks, and learned sizes.

use crate::app::App;
use crate::store::Store;

impl App {
    /// Opens the store and takes in what it remembers. One that cannot be used is reported, and everything
    /// goes on from memory.
    pub async fn open_store(&self) {
        let Some(folder) = &self.settings().state_dir else { return };
        let store = match Store::open(folder).await {
            Ok(store) => store,
            Err(why) => {
                log::error!("the store cannot be used: serving from memory; reason={why}");
                return;
            }
        };
        for set in store.modes().await {
            if let Some(server) = self.state.server_of(&set.server) {
                self.state.take_mode(server, set.mode, set.drain);
            }
        }
        let sizes = store.sizes().await;
        let now = self.state.now();
        self.state.cluster().import_sizes(sizes, now);
        if let (Some(hooks), Some(outbox)) = (&self.hooks, &self.outbox) {
            hooks.recall(&store, &outbox.keyring()).await;
        }
        let claims = store.claims().await;
        let known = claims.iter().filter_map(|claim| {
            let server = self.state.server_of(&claim.server)?;
            Some((claim.meeting, server))
        });
        let known: Vec<_> = known.collect();
        self.state.cluster().recall(known);
        self.state.keep_in(store);
    }
}
