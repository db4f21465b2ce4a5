//! Listening addresses, bound before Pingora sees them: Pingora retries a port in use for half a minute, then
//! loses the listener in a panic and lives on without it. Here it is an error.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{IntoRawFd, RawFd};

use anyhow::Context;

/// Bound listeners by the address that Pingora will look them up with.
#[derive(Debug, Default)]
pub struct Bound {
    listeners: BTreeMap<String, TcpListener>,
}

impl Bound {
    /// Binds all `addresses`, or none.
    pub fn to(addresses: &[SocketAddr]) -> anyhow::Result<Self> {
        let mut bound = Self::default();
        for address in addresses {
            let listener = TcpListener::bind(address)
                .with_context(|| format!("cannot listen on {address}"))?;
            listener.set_nonblocking(true).context("cannot use the listener")?;
            let actual = listener.local_addr().context("cannot use the listener")?;
            bound.listeners.insert(actual.to_string(), listener);
        }
        Ok(bound)
    }

    /// The addresses as they are, with real ports where port 0 was asked for.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.listeners.keys().map(String::as_str)
    }

    /// Hands the listeners over.
    pub fn into_fds(self) -> impl Iterator<Item = (String, RawFd)> {
        self.listeners.into_iter().map(|(address, listener)| (address, listener.into_raw_fd()))
    }
}
