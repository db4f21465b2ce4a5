//! The socket side: listen, accept, serve, and drop everything at once when the server dies.
//!
//! Refuses graceful shutdown: a simulated server that stops is one that lost its power.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::node::Node;
use crate::server::answer::answer;
use crate::server::cut::{Cut, CutStream};

pub(crate) mod answer;
pub(crate) mod cut;
pub(crate) mod graphql;
pub(crate) mod html5;
pub(crate) mod outgoing;

/// How often meetings are checked for expiry, if expiry is configured at all.
const EXPIRY_PERIOD: Duration = Duration::from_millis(50);

/// Serves until `stop` changes, then resets all connections and keeps the port without listening on it, so
/// that connects are refused and nobody else takes it. `None` if the port could not be kept.
pub(crate) async fn serve(
    listener: TcpListener,
    node: Arc<Node>,
    mut stop: watch::Receiver<bool>,
) -> Option<TcpSocket> {
    let mut connections = JoinSet::new();
    let mut expiry = tokio::time::interval(EXPIRY_PERIOD);
    loop {
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(connection(socket, Arc::clone(&node), stop.clone()));
                }
                // Out of file descriptors, most likely: let some connections end first.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = expiry.tick(), if node.config.minute.is_some() => node.expire(),
        }
    }
    drop(listener);
    let port = reserve(&node).ok();
    while connections.join_next().await.is_some() {}
    port
}

/// A socket bound to the server's address that does not listen.
pub(crate) fn reserve(node: &Node) -> io::Result<TcpSocket> {
    let socket = if node.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(node.address)?;
    Ok(socket)
}

/// What a request can reach of the connection it came on.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) cut: Cut,
    /// Changes when the server dies.
    pub(crate) stop: watch::Receiver<bool>,
    /// Held by whoever goes on with the connection after HTTP, so that stopping waits for them too.
    pub(crate) held: mpsc::Sender<()>,
}

async fn connection(socket: TcpStream, node: Arc<Node>, mut stop: watch::Receiver<bool>) {
    // Fails only if the peer is gone already, which serving will notice.
    let _ = socket.set_nodelay(true);
    let cut = Cut::default();
    let stream = CutStream::new(socket, cut.clone());
    let (held, mut released) = mpsc::channel(1);
    let line = Line { cut: cut.clone(), stop: stop.clone(), held };
    let service = service_fn(move |request| answer(Arc::clone(&node), line.clone(), request));
    let serving = http1::Builder::new().serve_connection(stream, service).with_upgrades();
    let mut serving = Box::pin(serving);
    tokio::select! {
        _ = &mut serving => {}
        () = cut.pulled() => {}
        _ = stop.changed() => cut.pull(),
    }
    drop(serving);
    // Nothing is ever sent: this ends when the last holder is gone.
    released.recv().await;
}
