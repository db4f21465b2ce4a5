//! The server over real sockets, through nothing but its public interface.
//!
//! Refuses an HTTP library: the client here is a few lines, so that what arrives is seen as it is.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Sim, SimConfig};

mod callbacks;
mod calls;
mod create;
mod faults;
mod join;
mod lifecycle;
mod recordings;

/// Longer than anything here takes, however busy the machine is.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header, named in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(prefix.as_str()))
    }

    /// The text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    }

    #[track_caller]
    pub(crate) fn expect(&self, element: &str, text: &str) {
        assert_eq!(self.element(element), Some(text), "{element} of {self:?}");
    }
}

/// Sends a request on a connection of its own and reads until the server closes it.
pub(crate) async fn exchange(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> io::Result<Answer> {
    let mut socket = TcpStream::connect(address).await?;
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    socket.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    tokio::time::timeout(DEADLINE, socket.read_to_end(&mut bytes)).await??;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// Path and query of a signed call.
pub(crate) fn target(sim: &Sim, call: &str, query: &str) -> String {
    let url = sim.signed_url(call, query);
    url[format!("http://{}", sim.address()).len()..].to_owned()
}

/// A signed GET.
pub(crate) async fn get(sim: &Sim, call: &str, query: &str) -> Answer {
    exchange(sim.address(), "GET", &target(sim, call, query), "", "").await.unwrap()
}

/// A server without delay at the end of meetings.
pub(crate) async fn quick() -> Sim {
    Sim::start(SimConfig { end_delay: Duration::ZERO, ..SimConfig::default() }).await.unwrap()
}
