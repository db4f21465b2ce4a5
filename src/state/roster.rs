//! Servers that come, change and go while everything runs, as the services see it: who is there, told of each
//! change.

use std::sync::Arc;

use tokio::sync::watch;

use crate::cluster::roster::Farewell;
use crate::cluster::server::{ServerId, ServerSpec};
use crate::state::State;

impl State {
    /// Adds a server and has it asked at once; it takes meetings after its first good answer.
    pub fn add_server(&self, spec: Arc<ServerSpec>) -> ServerId {
        let server = self.cluster().add_server(spec, self.now());
        self.probe_soon.lock().entry(server).or_default().notify_one();
        self.members.send_replace(());
        server
    }

    /// Describes a server in another way; it is asked at once, because its secret or address may be new.
    pub fn change_server(&self, server: ServerId, spec: Arc<ServerSpec>) {
        self.cluster().change_server(server, spec);
        self.probe_soon(server);
        self.members.send_replace(());
    }

    /// A server is no longer configured: it goes when its meetings have ended. What that is about.
    pub fn dismiss(&self, server: ServerId) -> Option<Farewell> {
        let farewell = self.cluster().dismiss(server);
        self.retire(server);
        farewell
    }

    /// A server that was leaving is configured again.
    pub fn welcome_back(&self, server: ServerId) {
        self.cluster().welcome_back(server);
    }

    /// Lets a leaving server go if nothing keeps it any more. True if it is gone.
    pub fn retire(&self, server: ServerId) -> bool {
        let (gone, last, name) = {
            let mut cluster = self.cluster();
            let name = cluster.member(server).map(|member| member.spec.name.clone());
            (cluster.retire(server), cluster.last_claim(), name)
        };
        let (Some(gone), Some(name)) = (gone, name) else { return false };
        let given_up = gone.len();
        for meeting in gone {
            self.forget(meeting, last, self.now());
        }
        self.lists.lock().remove(&server);
        self.owners.lock().forget_server(server);
        self.doubles.lock().remove(&server);
        self.drains.forget(server);
        self.probe_soon.lock().remove(&server);
        self.members.send_replace(());
        if given_up == 0 {
            log::info!("a server that was removed is gone; server={name}");
        } else {
            log::warn!(
                "a server that was removed does not answer: it is gone, and its meetings are made anew \
                 elsewhere; server={name} meetings={given_up}"
            );
        }
        true
    }

    /// Tells of every server that comes, changes or goes.
    pub fn watch_servers(&self) -> watch::Receiver<()> {
        self.members.subscribe()
    }
}
