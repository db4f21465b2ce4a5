//! How requests arrive, as it is used.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

/// The proxies in front of tinyscale whose word about clients is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies {
    /// Their addresses.
    pub networks: Vec<IpNet>,
    /// Where they say it.
    pub header: ProxyHeader,
}

/// Where a proxy names the client. Only one is read: a proxy that sets one of them passes the others on as
/// the client sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, with `-Proto` and `-Host`.
    #[default]
    XForwardedFor,
    /// `Forwarded` of RFC 7239.
    Forwarded,
    /// `X-Real-IP`, with `X-Forwarded-Proto` and `-Host`.
    XRealIp,
}

impl ProxyHeader {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::XForwardedFor, Self::Forwarded, Self::XRealIp];

    /// The name of the header.
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::Forwarded => "Forwarded",
            Self::XRealIp => "X-Real-IP",
        }
    }

    /// By its name, in any case.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|header| header.name().eq_ignore_ascii_case(name))
    }
}

/// A certificate and its key, as files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The certificate, then those of the authorities that made it.
    pub cert: PathBuf,
    /// Its private key, which may stand in the same file.
    pub key: PathBuf,
    /// Where it was written, for messages. Empty if nowhere.
    pub place: String,
}

/// What becomes of requests that are not encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redirect {
    /// They are answered.
    #[default]
    Off,
    /// They are sent to https, all of them.
    All,
    /// Calls of front ends are answered, everything else is sent to https.
    Browsers,
}

/// Where to accept HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub address: Address,
    /// What to use instead on a machine without IPv6; `None` for an address that the operator chose.
    pub without_ipv6: Option<SocketAddr>,
    /// Who may use it, if it is a Unix socket.
    pub mode: u32,
    /// Certificates, if what comes here is encrypted.
    pub tls: Option<ListenTls>,
    /// Whether HTTP/2 is spoken, too.
    pub http2: bool,
    /// Whose connections begin with a PROXY header; with `None`, nobody's do. At a Unix socket everybody's.
    pub proxy_protocol: Option<Vec<IpNet>>,
    /// What becomes of requests that are not encrypted.
    pub redirect: Redirect,
    /// Where it was written, for messages: `tinyscale.yaml:2:14`. Empty if nowhere.
    pub place: String,
}

impl Listen {
    /// Plain HTTP/1 at `address`, and nothing else.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address: Address::Ip(address),
            without_ipv6: None,
            mode: 0o660,
            tls: None,
            http2: false,
            proxy_protocol: None,
            redirect: Redirect::Off,
            place: String::new(),
        }
    }
}

/// An address to accept HTTP on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Port 0 is any free one.
    Ip(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl FromStr for Address {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Ip),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The certificates of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenTls {
    /// Those that somebody else puts into files.
    pub certificates: Vec<CertificateFiles>,
    /// The one that is ordered.
    pub acme: Option<AcmeSettings>,
}

/// How a certificate is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeSettings {
    /// Whom the authority may write to.
    pub email: Option<String>,
    /// The names that the certificate is for, at least one, in lower case.
    pub domains: Vec<String>,
    /// The URL of the authority's directory.
    pub directory: String,
    /// The certificates that the authority's own server is checked against; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// The wait after a first failure.
    pub first_retry: Duration,
}

impl AcmeSettings {
    /// The wait after a first failure; long enough for what authorities allow.
    pub const FIRST_RETRY: Duration = Duration::from_secs(60);

    /// Who is asked if nobody else is named.
    pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
}

/// Header lines that make browsers careful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityHeaders {
    /// Whether there are any.
    pub enabled: bool,
    /// For how long browsers use nothing but https after an answer that came so; zero: they are not told.
    pub hsts: Duration,
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        // Long enough to protect those who come again, short enough to get out of.
        Self { enabled: true, hsts: Duration::from_secs(30 * 24 * 60 * 60) }
    }
}
