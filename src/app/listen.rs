//! Listening addresses, bound before Pingora sees them: Pingora retries a port in use for half a minute, then
//! loses the listener in a panic and lives on without it. Here it is an error.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use anyhow::{Context, anyhow};

use crate::config::settings::Listen;

/// The operating system's "address family not supported", which `std` has no name for.
const NO_SUCH_FAMILY: i32 = 97;

/// Bound listeners by the address that Pingora will look them up with.
#[derive(Debug, Default)]
pub struct Bound {
    listeners: BTreeMap<String, TcpListener>,
}

impl Bound {
    /// Binds all addresses, or none.
    pub fn to(addresses: &[Listen]) -> anyhow::Result<Self> {
        Self::with(addresses, TcpListener::bind)
    }

    /// Takes over the listeners that another process had, each under its address, and binds only what it did not
    /// have. What is not listened on any more is closed.
    pub(crate) fn inherit(
        addresses: &[Listen],
        inherited: Vec<(String, OwnedFd)>,
    ) -> anyhow::Result<Self> {
        let mut had = Vec::new();
        for (_, fd) in inherited {
            let listener = TcpListener::from(fd);
            let address = listener.local_addr().context("what was handed over is no listener")?;
            had.push((address, listener));
        }
        let mut bound = Self::default();
        let mut missing = Vec::new();
        for listen in addresses {
            let wanted = [Some(listen.address), listen.without_ipv6];
            let is_it = |had: SocketAddr| {
                let same = |wanted: SocketAddr| {
                    wanted == had || wanted.port() == 0 && wanted.ip() == had.ip()
                };
                wanted.into_iter().flatten().any(same)
            };
            match had.iter().position(|(address, _)| is_it(*address)) {
                Some(at) => {
                    let (address, listener) = had.remove(at);
                    listener.set_nonblocking(true).context("cannot use the listener")?;
                    bound.listeners.insert(address.to_string(), listener);
                }
                None => missing.push(listen.clone()),
            }
        }
        for (address, _) in had {
            log::info!("no longer listening; address={address}");
        }
        bound.listeners.append(&mut Self::to(&missing)?.listeners);
        Ok(bound)
    }

    fn with(
        addresses: &[Listen],
        bind: impl Fn(SocketAddr) -> io::Result<TcpListener>,
    ) -> anyhow::Result<Self> {
        let mut bound = Self::default();
        for listen in addresses {
            let listener = match (bind(listen.address), listen.without_ipv6) {
                (Err(error), Some(instead)) if is_without_ipv6(&error) => {
                    log::info!("no IPv6 on this machine; listening on {instead} instead");
                    bind(instead).map_err(|error| bound.explain(listen, instead, &error))?
                }
                (result, _) => {
                    result.map_err(|error| bound.explain(listen, listen.address, &error))?
                }
            };
            listener.set_nonblocking(true).context("cannot use the listener")?;
            let actual = listener.local_addr().context("cannot use the listener")?;
            bound.listeners.insert(actual.to_string(), listener);
        }
        Ok(bound)
    }

    /// What to do about `error`, in the operator's terms.
    fn explain(&self, listen: &Listen, address: SocketAddr, error: &io::Error) -> anyhow::Error {
        let port = address.port();
        let overlapping =
            self.listeners.values().filter_map(|other| other.local_addr().ok()).find(|other| {
                let everywhere = other.ip().is_unspecified() || address.ip().is_unspecified();
                other.port() == port && (everywhere || other.ip() == address.ip())
            });
        let why = match (error.kind(), overlapping) {
            (ErrorKind::AddrInUse, Some(other)) => format!(
                "{other} is listened on, too, and they overlap; remove one of the two ([::] stands \
                 for all addresses, IPv4 and IPv6)"
            ),
            (ErrorKind::AddrInUse, None) => {
                format!("another program uses port {port}; stop it, or choose another port")
            }
            (ErrorKind::PermissionDenied, _) if port < 1024 => format!(
                "this user may not use port {port}; give the service \
                 AmbientCapabilities=CAP_NET_BIND_SERVICE, or choose a port above 1023"
            ),
            (ErrorKind::AddrNotAvailable, _) => {
                "this machine does not have this address".to_owned()
            }
            _ if is_without_ipv6(error) => {
                format!("this machine has no IPv6; write 0.0.0.0:{port} for all its addresses")
            }
            _ => error.to_string(),
        };
        match listen.place.as_str() {
            "" => anyhow!("cannot listen on {address}: {why}"),
            place => anyhow!("{place}: cannot listen on {address}: {why}"),
        }
    }

    /// The addresses as they are, with real ports where port 0 was asked for.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.listeners.keys().map(String::as_str)
    }

    /// The listeners, which stay here.
    pub(crate) fn fds(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        self.listeners.iter().map(|(address, listener)| (address.as_str(), listener.as_fd()))
    }

    /// The same listeners once more.
    pub(crate) fn again(&self) -> io::Result<Self> {
        let again = |(address, listener): (&String, &TcpListener)| {
            Ok((address.clone(), listener.try_clone()?))
        };
        let listeners = self.listeners.iter().map(again).collect::<io::Result<_>>()?;
        Ok(Self { listeners })
    }

    /// Hands the listeners over.
    pub fn into_fds(self) -> impl Iterator<Item = (String, RawFd)> {
        self.listeners.into_iter().map(|(address, listener)| (address, listener.into_raw_fd()))
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(NO_SUCH_FAMILY) || error.kind() == ErrorKind::AddrNotAvailable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str, without_ipv6: Option<&str>) -> Listen {
        let parse = |text: &str| text.parse().unwrap();
        Listen {
            address: parse(address),
            without_ipv6: without_ipv6.map(parse),
            place: "here".to_owned(),
        }
    }

    /// A machine without IPv6, as it answers with the module switched off.
    fn only_ipv4(address: SocketAddr) -> io::Result<TcpListener> {
        if address.is_ipv6() {
            return Err(io::Error::from_raw_os_error(NO_SUCH_FAMILY));
        }
        TcpListener::bind(address)
    }

    #[test]
    fn only_an_address_that_nobody_chose_falls_back_to_ipv4() {
        let bound = Bound::with(&[listen("[::]:0", Some("127.0.0.1:0"))], only_ipv4).unwrap();
        assert!(bound.addresses().all(|address| address.starts_with("127.0.0.1:")));
        let error = Bound::with(&[listen("[::]:80", None)], only_ipv4).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("here: cannot listen on [::]:80: this machine has no IPv6"),
            "{text}"
        );
    }

    #[test]
    fn a_port_in_use_is_no_reason_to_fall_back() {
        let in_use = |_| Err(io::Error::from(ErrorKind::AddrInUse));
        let error = Bound::with(&[listen("[::]:80", Some("0.0.0.0:80"))], in_use).unwrap_err();
        assert!(error.to_string().contains("[::]:80: another program"), "{error}");
    }
}
