//! tinyscale's own calls to servers: probes, inquiries and fan-outs. Bounded in time and size; never follows a
//! redirect, never waits for DNS. What clients of ours send goes through `gateway`, not through here.

pub mod addresses;
pub mod tls;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwapOption;
use bytes::{Bytes, BytesMut};
use rustls::{ClientConfig, RootCertStore};

use crate::bbb::checksum;
use crate::client::addresses::Addresses;
use crate::cluster::server::{ServerId, ServerSpec};
use crate::config::settings::{ServerSettings, TlsCheck};

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
    by_server: Arc<HashMap<ServerId, Line>>,
    addresses: Arc<Addresses>,
    connect_timeout: Duration,
}

/// The way to one server.
struct Line {
    spec: Arc<ServerSpec>,
    tls: ClientConfig,
    connected: ArcSwapOption<Connected>,
}

/// A pool of connections to the addresses that a server had when it was made. A pool that outlived them would
/// go on asking the machine that a server has moved away from, for as long as that one answers.
struct Connected {
    addresses: Arc<[IpAddr]>,
    http: reqwest::Client,
}

impl Client {
    /// A client for these servers. `system` are the authorities that this machine trusts. Fails only if a CA
    /// file cannot be read.
    pub fn new<'s>(
        servers: impl IntoIterator<Item = (ServerId, &'s ServerSettings)>,
        addresses: &Arc<Addresses>,
        connect_timeout: Duration,
        system: &RootCertStore,
    ) -> anyhow::Result<Self> {
        // Shared by all servers that are checked in the same way: each holds a certificate store.
        let mut checks: HashMap<&TlsCheck, ClientConfig> = HashMap::new();
        let mut by_server = HashMap::new();
        for (id, server) in servers {
            let tls = match checks.get(&server.tls) {
                Some(tls) => tls.clone(),
                None => checks.entry(&server.tls).or_insert(config(&server.tls, system)?).clone(),
            };
            let spec = Arc::new(server.spec.clone());
            by_server.insert(id, Line { spec, tls, connected: ArcSwapOption::empty() });
        }
        Ok(Self { by_server: Arc::new(by_server), addresses: addresses.clone(), connect_timeout })
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
        let line = self.by_server.get(&server).ok_or(Failure::NoAddress)?;
        let http = self.connected(line)?;
        let asking = ask(&http, &line.spec, name, query);
        tokio::time::timeout(deadline, asking).await.unwrap_or(Err(Failure::Timeout))
    }

    fn connected(&self, line: &Line) -> Result<reqwest::Client, Failure> {
        let host = line.spec.url.bare_host();
        let addresses = self.addresses.of(host);
        if addresses.is_empty() {
            return Err(Failure::NoAddress);
        }
        let connected = line.connected.load();
        if let Some(connected) = connected.as_ref()
            && connected.addresses == addresses
        {
            return Ok(connected.http.clone());
        }
        let http = self
            .connect(&line.tls, host, &addresses)
            .map_err(|error| Failure::Connect(error.without_url().to_string()))?;
        line.connected.store(Some(Arc::new(Connected { addresses, http: http.clone() })));
        Ok(http)
    }

    fn connect(
        &self,
        tls: &ClientConfig,
        host: &str,
        addresses: &[IpAddr],
    ) -> reqwest::Result<reqwest::Client> {
        // The port is the URL's; 0 leaves it alone.
        let addresses: Vec<_> = addresses.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
        reqwest::Client::builder()
            .user_agent(concat!("tinyscale/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .resolve_to_addrs(host, &addresses)
            .connect_timeout(self.connect_timeout)
            // Shorter than nginx's 75 s, so that the server never closes a connection we are about to use.
            .pool_idle_timeout(Duration::from_secs(55))
            .pool_max_idle_per_host(4)
            .tls_backend_preconfigured(tls.clone())
            .build()
    }
}

fn config(check: &TlsCheck, system: &RootCertStore) -> anyhow::Result<ClientConfig> {
    match check {
        TlsCheck::System => tls::checked(system.clone()),
        TlsCheck::Skip => tls::unchecked(),
        TlsCheck::Ca(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in tls::authorities(file)? {
                roots.add(certificate).context("an authority that was read cannot be used")?;
            }
            tls::checked(roots)
        }
    }
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
