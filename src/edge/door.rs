//! Accepts the connections of one listener and hands them to the one who answers: reads the PROXY header of those
//! that must have one, and shakes hands where there is TLS. Each step has a time limit, and none waits for
//! another connection.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora_core::listeners::tls::Acceptor;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::H2Options;
use pingora_core::protocols::{ALPN, Ssl, Stream};
use pingora_core::server::ShutdownWatch;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};

use crate::edge::connection::{Arrival, Connection, Socket};
use crate::edge::proxy_protocol::{self, Said};

/// A load balancer sends the header with its first bytes.
const HEADER_WITHIN: Duration = Duration::from_secs(5);
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// The time to the next try if a connection cannot be accepted, mostly for want of open files.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A listener that is bound.
#[derive(Debug)]
pub enum Listener {
    /// At an IP address.
    Tcp(std::net::TcpListener),
    /// In the file system.
    Unix(StdUnixListener),
}

/// A listener, and what is done with those who come there.
pub struct Door {
    /// Where they come.
    pub listener: Listener,
    /// Its address, for the log.
    pub name: String,
    /// How to shake hands, if they must.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whose connections begin with a PROXY header. At a Unix socket everybody's do, if there is a list.
    pub proxies: Option<Arc<[IpNet]>>,
    /// Whether HTTP/2 may come without TLS.
    pub h2c: bool,
    /// What those who answer are told.
    pub arrival: Arrival,
}

enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Accepting {
    fn new(listener: Listener) -> std::io::Result<Self> {
        Ok(match listener {
            Listener::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Listener::Unix(listener) => Self::Unix(UnixListener::from_std(listener)?),
        })
    }

    async fn accept(&self) -> std::io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // An error means that the other side has gone, which reading finds out, too.
                let _ = stream.set_nodelay(true);
                Ok((Socket::Tcp(stream), Some(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), None))
            }
        }
    }
}

/// What every connection of a door shares.
struct Shared<A> {
    app: Arc<A>,
    h2c: Option<Arc<H2c<A>>>,
    acceptor: Option<Acceptor>,
    proxies: Option<Arc<[IpNet]>>,
    arrival: Arrival,
    shutdown: ShutdownWatch,
}

impl Door {
    /// Lets people in until `shutdown`. Connections that are in stay.
    pub async fn run<A>(self, app: Arc<A>, mut shutdown: ShutdownWatch)
    where
        A: HttpServerApp + Send + Sync + 'static,
    {
        let listener = match Accepting::new(self.listener) {
            Ok(listener) => listener,
            Err(why) => {
                log::error!("cannot listen; address={} reason={why}", self.name);
                return;
            }
        };
        let shared = Arc::new(Shared {
            h2c: self.h2c.then(|| Arc::new(H2c::new(app.clone()))),
            app,
            acceptor: self.tls.map(Acceptor::from_server_config),
            proxies: self.proxies,
            arrival: self.arrival,
            shutdown: shutdown.clone(),
        });
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                // An error means that nobody is left to wait for.
                _ = shutdown.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((socket, peer)) => {
                    let shared = shared.clone();
                    pingora_runtime::current_handle().spawn(async move {
                        shared.serve(socket, peer).await;
                    });
                }
                Err(why) => {
                    log::warn!("a connection was not accepted; address={} reason={why}", self.name);
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }
}

impl<A: HttpServerApp + Send + Sync + 'static> Shared<A> {
    async fn serve(&self, socket: Socket, peer: Option<SocketAddr>) {
        let Some((socket, peer)) = self.behind_proxy(socket, peer).await else { return };
        let h2 = self.h2c.as_ref().filter(|_| self.acceptor.is_none());
        let h2 = match (h2, &socket) {
            (Some(h2c), Socket::Tcp(stream)) if begins_http2(stream).await => Some(h2c),
            _ => None,
        };
        let connection = match Connection::new(socket, peer, self.arrival) {
            Ok(connection) => connection,
            Err(why) => return log::debug!("a connection was given up; reason={why}"),
        };
        let Some(stream) = self.shake_hands(connection).await else { return };
        let mut next = match h2 {
            Some(h2c) => h2c.process_new(stream, &self.shutdown).await,
            None => self.app.process_new(stream, &self.shutdown).await,
        };
        while let Some(stream) = next {
            next = self.app.process_new(stream, &self.shutdown).await;
        }
    }

    /// The connection without its PROXY header, and who is behind it. `None` if the header is not there.
    async fn behind_proxy(
        &self,
        mut socket: Socket,
        peer: Option<SocketAddr>,
    ) -> Option<(Socket, Option<SocketAddr>)> {
        let address: Option<IpAddr> = peer.map(|peer| peer.ip().to_canonical());
        let must = self.proxies.as_ref().is_some_and(|proxies| match address {
            Some(address) => proxies.iter().any(|network| network.contains(&address)),
            None => true,
        });
        if !must {
            return Some((socket, peer));
        }
        let reading = async {
            match &mut socket {
                Socket::Tcp(stream) => proxy_protocol::read(stream).await,
                Socket::Unix(stream) => proxy_protocol::read(stream).await,
            }
        };
        match tokio::time::timeout(HEADER_WITHIN, reading).await {
            Ok(Ok(Said::From(client))) => Some((socket, Some(client))),
            Ok(Ok(Said::Nothing)) => Some((socket, peer)),
            // A health check that only connects is not worth a line.
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => None,
            Ok(Err(_)) | Err(_) => {
                let from = address.map_or_else(|| "a Unix socket".to_owned(), |a| a.to_string());
                log::warn!(
                    "a connection was refused: it should begin with a PROXY header, because its address \
                     is one of proxy_protocol; from={from}"
                );
                None
            }
        }
    }

    async fn shake_hands(&self, connection: Connection) -> Option<Stream> {
        let Some(acceptor) = &self.acceptor else { return Some(Box::new(connection)) };
        let shaking = acceptor.tls_handshake(connection);
        match tokio::time::timeout(HANDSHAKE_WITHIN, shaking).await {
            // Who wanted to see the proof of an ACME order has seen it now, and says nothing else.
            Ok(Ok(stream)) if matches!(stream.selected_alpn_proto(), Some(ALPN::Custom(_))) => None,
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(why)) => {
                // Anybody can cause this, at will.
                log::debug!("a TLS handshake failed; reason={why}");
                None
            }
            Err(_) => {
                log::debug!("a TLS handshake took too long");
                None
            }
        }
    }
}

/// Whether what comes is HTTP/2, as far as the first bytes tell; they are not taken.
async fn begins_http2(stream: &tokio::net::TcpStream) -> bool {
    let mut start = [0; 4];
    let peeking = async {
        loop {
            match stream.peek(&mut start).await {
                // Fewer bytes come only from who is very slow; `peek` would return at once again.
                Ok(bytes)
                    if bytes < start.len() && b"PRI ".starts_with(&start[..bytes]) && bytes > 0 =>
                {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(bytes) => return start[..bytes] == *b"PRI ",
                Err(_) => return false,
            }
        }
    };
    tokio::time::timeout(HEADER_WITHIN, peeking).await.unwrap_or(false)
}

/// The same as `app`, for connections that begin with HTTP/2 and no TLS.
struct H2c<A> {
    app: Arc<A>,
    options: HttpServerOptions,
}

impl<A: HttpServerApp> H2c<A> {
    fn new(app: Arc<A>) -> Self {
        let mut options = app.server_options().cloned().unwrap_or_default();
        options.h2c = true;
        Self { app, options }
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for H2c<A> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.app.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.app.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}
