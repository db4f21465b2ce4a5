//! The admin API of a tinyscale that runs, as the command line asks it: at an address of this machine, mostly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::{HeaderValue, Method, header};
use serde_json::Value;

use crate::bbb::secret::Secret;
use crate::config::settings::Address;

/// More than the rows of a thousand servers, or all events that are kept.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longer than the other side takes for any answer.
const WITHIN: Duration = Duration::from_secs(15);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody listens there, or nothing came back.
    #[error("{0}")]
    NoAnswer(String),
    /// It said no.
    #[error("{why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// In its words.
        why: String,
    },
    /// What answers is something else.
    #[error("what answers there is not tinyscale's admin API")]
    Stranger,
}

/// Asks one tinyscale.
#[derive(Clone)]
pub struct Operator {
    http: reqwest::Client,
    base: String,
    token: Option<HeaderValue>,
}

impl Operator {
    /// For the one at `address`; `token` is shown with each request.
    pub fn new(address: &Address, token: Option<&Secret>) -> Result<Self, Failure> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("tinyscale/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(WITHIN);
        let (builder, base) = match address {
            Address::Ip(address) => (builder, format!("http://{}", reachable(*address))),
            Address::Unix(path) => {
                (builder.unix_socket(path.clone()), "http://localhost".to_owned())
            }
        };
        let http = builder.build().map_err(|error| no_answer(&error))?;
        let token = token.map(|token| {
            let mut value = HeaderValue::from_bytes(&[b"Bearer ", token.bytes()].concat())
                .map_err(|_| Failure::NoAnswer("the token holds a line break".to_owned()))?;
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self { http, base, token: token.transpose()? })
    }

    /// Whether a token is shown.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Asks for `path`; a body is sent with what changes something, and with searches.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token.clone());
        }
        if let Some(body) = body {
            request =
                request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let mut answer = request.send().await.map_err(|error| no_answer(&error))?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| no_answer(&error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Failure::Stranger);
            }
            bytes.extend_from_slice(&chunk);
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| Failure::Stranger)?;
        if status.is_success() {
            return Ok(value);
        }
        let why = value.get("error").and_then(Value::as_str).ok_or(Failure::Stranger)?;
        Err(Failure::Refused { status: status.as_u16(), why: why.to_owned() })
    }
}

/// An address that stands for all of this machine is no place to connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// The innermost reason, which is the one that says something.
fn no_answer(error: &reqwest::Error) -> Failure {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    Failure::NoAnswer(if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        reason.to_string()
    })
}
