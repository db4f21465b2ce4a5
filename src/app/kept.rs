//! What outlives a restart, read before anything else: claims of meetings, and what operators set.

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
        for (name, mode) in store.modes().await {
            if let Some(server) = self.state.server_of(&name) {
                self.state.cluster().set_mode(server, mode);
            }
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
