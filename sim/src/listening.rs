//! Whether a server is up: the task that serves, or the port that is kept while it is down.
//!
//! Refuses a half-way state: stopping waits until every connection is gone.

use std::io;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::node::Node;
use crate::server;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

#[derive(Debug)]
pub(crate) enum Listening {
    Up {
        stop: watch::Sender<bool>,
        task: JoinHandle<Option<TcpSocket>>,
    },
    /// The port, bound and not listening; `None` if it could not be kept.
    Down(Option<TcpSocket>),
}

impl Listening {
    pub(crate) fn start(node: &Arc<Node>, listener: TcpListener) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(server::serve(listener, Arc::clone(node), stopped));
        Self::Up { stop, task }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// Cancel-safe: a stop that is given up half way is finished by the next one.
    pub(crate) async fn stop(&mut self) {
        if let Self::Up { stop, task } = self {
            stop.send_replace(true);
            let port = task.await.ok().flatten();
            *self = Self::Down(port);
        }
    }

    pub(crate) fn restart(&mut self, node: &Arc<Node>) -> io::Result<()> {
        let Self::Down(port) = self else {
            return Ok(());
        };
        let socket = match port.take() {
            Some(socket) => socket,
            None => server::reserve(node)?,
        };
        *self = Self::start(node, socket.listen(BACKLOG)?);
        Ok(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Self::Up { task, .. } = self {
            task.abort();
        }
    }
}
