//! tinyscale's own calls to servers: probes, inquiries and fan-outs. Bounded in time and size; never follows a
//! redirect, never waits for DNS. What clients of ours send goes through `gateway`, not through here.

pub mod acme;
pub mod addresses;
pub mod front_end;
pub mod lines;
pub mod tls;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use rustls::ClientConfig;

use crate::bbb::checksum;
use crate::client::addresses::Addresses;
use crate::client::lines::{Line, Lines};
use crate::cluster::server::{ServerId, ServerSpec};

/// The largest answer of one server that is read: several thousand people's getMeetings is about 1 MB.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Why a server gave no answer; reads as the end of "the server ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The name has no address.
    #[error("its name cannot be resolved")]
    NoAddress,
    /// No TCP connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The certificate or handshake was not acceptable.
    #[error("TLS: {0}")]
    Tls(String),
    /// Not within the deadline.
    #[error("no answer in time")]
    Timeout,
    /// HTTP status other than 200.
    #[error("HTTP status {0} instead of an answer")]
    Status(u16),
    /// More than 32 MiB.
    #[error("the answer is too large")]
    TooLarge,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl Failure {
    /// Whether certainly nothing reached the server.
    pub fn is_before_sending(&self) -> bool {
        matches!(self, Self::NoAddress | Self::Connect(_) | Self::Tls(_))
    }
}

/// Calls servers. Cheap to clone; belongs to the runtime that first uses it, because its pooled connections
/// live there.
#[derive(Clone)]
pub struct Client {
    lines: Arc<Lines>,
    addresses: Arc<Addresses>,
    connected: Arc<Mutex<HashMap<ServerId, Arc<Connected>>>>,
}

/// A pool of connections to the addresses that a server had when it was made. A pool that outlived them would
/// go on asking the machine that a server has moved away from, for as long as that one answers.
struct Connected {
    addresses: Arc<[IpAddr]>,
    host: Box<str>,
    tls: Arc<ClientConfig>,
    connect_timeout: Duration,
    http: reqwest::Client,
}

impl Connected {
    /// Whether it may still be used for `line`.
    fn is_for(&self, line: &Line, addresses: &Arc<[IpAddr]>) -> bool {
        self.addresses == *addresses
            && *self.host == *line.spec.url.bare_host()
            && Arc::ptr_eq(&self.tls, &line.tls)
            && self.connect_timeout == line.connect_timeout
    }
}

impl Client {
    /// A client for the servers that `lines` lead to now and later.
    pub fn new(lines: &Arc<Lines>, addresses: &Arc<Addresses>) -> Self {
        let (lines, addresses) = (lines.clone(), addresses.clone());
        Self { lines, addresses, connected: Arc::default() }
    }

    /// Asks `server` by GET and waits at most `deadline` for the whole answer. `query` is signed and sent as
    /// it is, but for what a URL cannot hold, which is escaped before signing.
    pub async fn call(
        &self,
        server: ServerId,
        name: &str,
        query: &str,
        deadline: Duration,
    ) -> Result<Bytes, Failure> {
        let line = self.lines.to(server).ok_or(Failure::NoAddress)?;
        let http = self.connected(server, &line)?;
        let asking = ask(&http, &line.spec, name, query);
        tokio::time::timeout(deadline, asking).await.unwrap_or(Err(Failure::Timeout))
    }

    fn connected(&self, server: ServerId, line: &Line) -> Result<reqwest::Client, Failure> {
        let host = line.spec.url.bare_host();
        let addresses = self.addresses.of(host);
        if addresses.is_empty() {
            return Err(Failure::NoAddress);
        }
        if let Some(connected) = self.connected.lock().get(&server)
            && connected.is_for(line, &addresses)
        {
            return Ok(connected.http.clone());
        }
        let http = connect(line, host, &addresses)
            .map_err(|error| Failure::Connect(error.without_url().to_string()))?;
        let connected = Connected {
            addresses,
            host: host.into(),
            tls: line.tls.clone(),
            connect_timeout: line.connect_timeout,
            http: http.clone(),
        };
        let mut all = self.connected.lock();
        // Pools of servers that are gone go with the next one that is made.
        all.retain(|server, _| self.lines.to(*server).is_some());
        all.insert(server, Arc::new(connected));
        Ok(http)
    }
}

fn connect(line: &Line, host: &str, addresses: &[IpAddr]) -> reqwest::Result<reqwest::Client> {
    // The port is the URL's; 0 leaves it alone.
    let addresses: Vec<_> = addresses.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
    reqwest::Client::builder()
        .user_agent(concat!("tinyscale/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .resolve_to_addrs(host, &addresses)
        .connect_timeout(line.connect_timeout)
        // Shorter than nginx's 75 s, so that the server never closes a connection we are about to use.
        .pool_idle_timeout(Duration::from_secs(55))
        .pool_max_idle_per_host(4)
        .tls_backend_preconfigured(ClientConfig::clone(&line.tls))
        .build()
}

async fn ask(
    http: &reqwest::Client,
    spec: &ServerSpec,
    name: &str,
    query: &str,
) -> Result<Bytes, Failure> {
    let unsigned = url(spec, name, query)?;
    // What the URL type made of the query is what travels, so that is what is signed.
    let query =
        checksum::sign(name, unsigned.query().unwrap_or_default(), spec.algorithm, &spec.secret);
    let mut answer = http.get(url(spec, name, &query)?).send().await.map_err(why)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(Failure::Status(answer.status().as_u16()));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(why)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn url(spec: &ServerSpec, name: &str, query: &str) -> Result<reqwest::Url, Failure> {
    let text = if query.is_empty() {
        format!("{}/{name}", spec.url)
    } else {
        format!("{}/{name}?{query}", spec.url)
    };
    text.parse().map_err(|_| Failure::Connect("not a URL".to_owned()))
}

/// What went wrong, without the URL: it holds a checksum.
#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn why(error: reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Timeout;
    }
    let mut root: &dyn std::error::Error = &error;
    while let Some(source) = root.source() {
        if let Some(error) = tls_error(source) {
            return Failure::Tls(tls::explain(error));
        }
        root = source;
    }
    // An I/O error in its own words ends in "(os error 111)".
    let why = match root.downcast_ref::<std::io::Error>() {
        Some(io) if io.raw_os_error().is_some() => io.kind().to_string(),
        _ => root.to_string(),
    };
    if error.is_connect() { Failure::Connect(why) } else { Failure::Broken(why) }
}

fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    // An I/O error is not the source of what it wraps, and may wrap another one.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => tls_error(inner),
        None => error.downcast_ref::<rustls::Error>(),
    }
}
