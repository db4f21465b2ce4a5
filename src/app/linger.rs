//! The end of a service's connections. Pingora drops idle ones as soon as its listeners are closed, and with
//! them, now and then, a request that was on its way. When another process takes over, they stay open instead:
//! each is answered once more and told that it was the last time.

use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;

use crate::state::State;

/// An application whose connections are counted, and may linger.
pub struct Lingering<A> {
    app: Arc<A>,
    state: Arc<State>,
}

impl<A> Lingering<A> {
    /// The connections to `app`, counted in `state`.
    pub(crate) fn new(app: A, state: Arc<State>) -> Self {
        Self { app: Arc::new(app), state }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Lingering<A> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let _open = self.state.connections().open();
        self.app.process_new(stream, shutdown).await
    }

    /// Called once the listeners are closed.
    async fn cleanup(&self) {
        let connections = self.state.connections();
        if connections.are_leaving() {
            connections.none().await;
        }
        self.app.cleanup().await;
    }
}
