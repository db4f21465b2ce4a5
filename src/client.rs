//! tinyscale's own calls to servers: probes, inquiries and fan-outs. Bounded in time and size; never follows a
//! redirect, never waits for DNS. What clients of ours send goes through `gateway`, not through here.

pub mod addresses;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

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
    by_server: Arc<HashMap<ServerId, (Arc<ServerSpec>, reqwest::Client)>>,
}

impl Client {
    /// A client for these servers. Fails only if a CA file cannot be read.
    pub fn new<'s>(
        servers: impl IntoIterator<Item = (ServerId, &'s ServerSettings)>,
        addresses: &Arc<Addresses>,
        connect_timeout: Duration,
    ) -> anyhow::Result<Self> {
        // One client per way of checking certificates, not per server: each holds a certificate store.
        let mut by_check: HashMap<Option<PathBuf>, reqwest::Client> = HashMap::new();
        let mut unchecked = None;
        let mut by_server = HashMap::new();
        for (id, server) in servers {
            let build = || build(&server.tls, addresses, connect_timeout);
            let http = match &server.tls {
                TlsCheck::Skip => or_build(&mut unchecked, build)?,
                TlsCheck::System | TlsCheck::Ca(_) => {
                    let ca = ca_file(&server.tls).map(Path::to_path_buf);
                    match by_check.get(&ca) {
                        Some(http) => http.clone(),
                        None => by_check.entry(ca).or_insert(build()?).clone(),
                    }
                }
            };
            by_server.insert(id, (Arc::new(server.spec.clone()), http));
        }
        Ok(Self { by_server: Arc::new(by_server) })
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
        let Some((spec, http)) = self.by_server.get(&server) else {
            return Err(Failure::NoAddress);
        };
        let asking = ask(http, spec, name, query);
        tokio::time::timeout(deadline, asking).await.unwrap_or(Err(Failure::Timeout))
    }
}

fn or_build(
    slot: &mut Option<reqwest::Client>,
    build: impl FnOnce() -> anyhow::Result<reqwest::Client>,
) -> anyhow::Result<reqwest::Client> {
    if let Some(http) = slot {
        return Ok(http.clone());
    }
    let http = build()?;
    *slot = Some(http.clone());
    Ok(http)
}

fn ca_file(check: &TlsCheck) -> Option<&Path> {
    if let TlsCheck::Ca(file) = check { Some(file) } else { None }
}

fn build(
    check: &TlsCheck,
    addresses: &Arc<Addresses>,
    connect_timeout: Duration,
) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tinyscale/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(Known(addresses.clone())))
        .connect_timeout(connect_timeout)
        // Shorter than nginx's 75 s, so that the server never closes a connection we are about to use.
        .pool_idle_timeout(Duration::from_secs(55))
        .pool_max_idle_per_host(4);
    match check {
        TlsCheck::System => {}
        TlsCheck::Skip => builder = builder.tls_danger_accept_invalid_certs(true),
        TlsCheck::Ca(file) => {
            let pem =
                std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("{} holds no certificate", file.display()))?;
            builder = builder.tls_certs_only(certificates);
        }
    }
    builder.build().context("cannot set up TLS for calls to servers")
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
        if source.is::<UnknownName>() {
            return Failure::NoAddress;
        }
        if let Some(tls) = tls_error(source) {
            return Failure::Tls(tls.to_string());
        }
        root = source;
    }
    if error.is_connect() {
        Failure::Connect(root.to_string())
    } else {
        Failure::Broken(root.to_string())
    }
}

fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let inner = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.or_else(|| error.downcast_ref::<rustls::Error>())
}

/// Answers from the addresses that are known, at once.
struct Known(Arc<Addresses>);

#[derive(Debug, thiserror::Error)]
#[error("the name has no known address")]
struct UnknownName;

impl Resolve for Known {
    fn resolve(&self, name: Name) -> Resolving {
        let known = self.0.of(name.as_str());
        Box::pin(async move {
            if known.is_empty() {
                return Err(UnknownName.into());
            }
            // The port is the URL's; 0 leaves it alone.
            let addresses: Vec<_> = known.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
