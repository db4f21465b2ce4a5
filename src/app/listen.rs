//! Listening addresses, bound before Pingora sees them: Pingora retries a port in use for half a minute, then
//! loses the listener in a panic and lives on without it. Here it is an error.

use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use crate::config::settings::{Address, Listen};
use crate::edge::certificates::Certificates;
use crate::edge::connection::Arrival;
use crate::edge::door::{Door, Listener};
use crate::edge::tls;

/// The operating system's "address family not supported", which `std` has no name for.
const NO_SUCH_FAMILY: i32 = 97;

/// Bound listeners, in the order of the configuration, with their addresses as they are.
#[derive(Debug, Default)]
pub struct Bound {
    listeners: Vec<(Address, Listener, Listen)>,
}

impl Bound {
    /// Binds all addresses, or none.
    pub fn to(addresses: &[Listen]) -> anyhow::Result<Self> {
        Self::with(addresses, TcpListener::bind)
    }

    fn with(
        addresses: &[Listen],
        bind: impl Fn(SocketAddr) -> io::Result<TcpListener>,
    ) -> anyhow::Result<Self> {
        let mut bound = Self::default();
        for listen in addresses {
            let (actual, listener) = match &listen.address {
                Address::Ip(address) => {
                    let listener = bound.tcp(listen, *address, &bind)?;
                    listener.set_nonblocking(true).context("cannot use the listener")?;
                    let actual = listener.local_addr().context("cannot use the listener")?;
                    (Address::Ip(actual), Listener::Tcp(listener))
                }
                Address::Unix(path) => {
                    let listener = unix(path, listen.mode)
                        .map_err(|why| said(listen, &listen.address, &why))?;
                    (listen.address.clone(), Listener::Unix(listener))
                }
            };
            bound.listeners.push((actual, listener, listen.clone()));
        }
        Ok(bound)
    }

    fn tcp(
        &self,
        listen: &Listen,
        address: SocketAddr,
        bind: impl Fn(SocketAddr) -> io::Result<TcpListener>,
    ) -> anyhow::Result<TcpListener> {
        match (bind(address), listen.without_ipv6) {
            (Err(error), Some(instead)) if is_without_ipv6(&error) => {
                log::info!("no IPv6 on this machine; listening on {instead} instead");
                bind(instead).map_err(|error| self.explain(listen, instead, &error))
            }
            (result, _) => result.map_err(|error| self.explain(listen, address, &error)),
        }
    }

    /// What to do about `error`, in the operator's terms.
    fn explain(&self, listen: &Listen, address: SocketAddr, error: &io::Error) -> anyhow::Error {
        let port = address.port();
        let overlapping = self.ip_addresses().find(|other| {
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
        said(listen, &Address::Ip(address), &why)
    }

    /// Its first listener, for what speaks HTTP by itself.
    pub(crate) fn into_first(self) -> Option<(Address, Listener)> {
        self.listeners.into_iter().next().map(|(address, listener, _)| (address, listener))
    }

    fn ip_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().filter_map(|(address, ..)| match address {
            Address::Ip(address) => Some(*address),
            Address::Unix(_) => None,
        })
    }

    /// The addresses as they are, with real ports where port 0 was asked for.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.listeners.iter().map(|(address, ..)| address)
    }

    /// Makes doors of the listeners, with what they need to shake hands.
    pub fn into_doors(self, certificates: &Arc<Certificates>) -> anyhow::Result<Vec<Door>> {
        let doors = self.listeners.into_iter().map(|(address, listener, listen)| {
            let is_tls = listen.tls.is_some();
            Ok(Door {
                listener,
                name: address.to_string(),
                tls: is_tls.then(|| tls::server(certificates.clone(), listen.http2)).transpose()?,
                proxies: listen.proxy_protocol.map(Into::into),
                h2c: listen.http2 && !is_tls,
                arrival: Arrival { redirect: listen.redirect },
            })
        });
        doors.collect()
    }
}

fn said(listen: &Listen, address: &Address, why: &str) -> anyhow::Error {
    match listen.place.as_str() {
        "" => anyhow!("cannot listen on {address}: {why}"),
        place => anyhow!("{place}: cannot listen on {address}: {why}"),
    }
}

/// A socket in the file system. One that a process left behind is in nobody's way.
fn unix(path: &Path, mode: u32) -> Result<UnixListener, String> {
    let exists = std::fs::symlink_metadata(path);
    if exists.as_ref().is_ok_and(|file| !file.file_type().is_socket()) {
        return Err("there is a file of this name, and it is no socket".to_owned());
    }
    if exists.is_ok() {
        if UnixStream::connect(path).is_ok() {
            return Err("another program listens there".to_owned());
        }
        // Whatever is wrong with it, binding says so.
        let _ = std::fs::remove_file(path);
    }
    let because = |error: io::Error| {
        let known = [
            (ErrorKind::NotFound, "there is no such folder"),
            (ErrorKind::PermissionDenied, "this user may not make a socket in that folder"),
        ];
        let known = known.iter().find(|(kind, _)| *kind == error.kind());
        known.map_or_else(|| error.to_string(), |(_, why)| (*why).to_owned())
    };
    let listener = UnixListener::bind(path).map_err(because)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(because)?;
    listener.set_nonblocking(true).map_err(because)?;
    Ok(listener)
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
            without_ipv6: without_ipv6.map(parse),
            place: "here".to_owned(),
            ..Listen::plain(parse(address))
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
        assert!(bound.addresses().all(|address| address.to_string().starts_with("127.0.0.1:")));
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
