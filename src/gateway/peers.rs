//! Servers as Pingora's connectors want them: addresses, never names; every time-out set; certificates
//! checked as configured.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use rustls::pki_types::CertificateDer;

use crate::client::addresses::Addresses;
use crate::client::tls;
use crate::cluster::server::{ServerId, ServerSpec};
use crate::config::settings::{ServerSettings, Timeouts, TlsCheck};

/// Shorter than the 75 s after which nginx on the server closes an idle connection, so that it never closes
/// one that is about to be used.
const POOL_IDLE: Duration = Duration::from_secs(55);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// A call that may be repeated: over a pooled connection.
    Call,
    /// A create: over a connection of its own, so that a pooled one dying is never mistaken for a create
    /// that may have been carried out.
    Create,
    /// Any other call that changes something: likewise, and never sent again.
    Once,
}

/// The peers of all servers.
pub(crate) struct Peers {
    servers: HashMap<ServerId, Server>,
    addresses: Arc<Addresses>,
    timeouts: Timeouts,
    built: ArcSwap<Built>,
}

struct Server {
    spec: Arc<ServerSpec>,
    check: Check,
    /// How often `check` has changed: connections that were made under another one are not used.
    checks: u32,
    /// Which of several addresses is used; moves on when one cannot be reached.
    turn: AtomicUsize,
}

#[derive(Clone)]
enum Check {
    System,
    Ca(Arc<[CertificateDer<'static>]>, Arc<[WrappedX509]>),
    Skip,
}

impl Check {
    fn of(check: &TlsCheck) -> anyhow::Result<Self> {
        Ok(match check {
            TlsCheck::System => Self::System,
            TlsCheck::Skip => Self::Skip,
            TlsCheck::Ca(file) => {
                let certificates = tls::authorities(file)?;
                let wrap = |certificate: &CertificateDer<'_>| {
                    WrappedX509::new(certificate.to_vec(), parse_x509)
                };
                let wrapped = certificates.iter().map(wrap).collect();
                Self::Ca(certificates.into(), wrapped)
            }
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::System, Self::System) | (Self::Skip, Self::Skip) => true,
            (Self::Ca(one, _), Self::Ca(other, _)) => one == other,
            (Self::System | Self::Skip | Self::Ca(..), _) => false,
        }
    }
}

#[derive(Default)]
struct Built {
    generation: u64,
    peers: HashMap<(ServerId, usize), Arc<HttpPeer>>,
}

impl Peers {
    /// The peers of `servers`. Fails if a CA file cannot be used.
    pub(crate) fn new<'s>(
        servers: impl IntoIterator<Item = (ServerId, &'s ServerSettings)>,
        addresses: Arc<Addresses>,
        timeouts: Timeouts,
    ) -> anyhow::Result<Self> {
        let nobody =
            Self { servers: HashMap::new(), addresses, timeouts, built: ArcSwap::default() };
        nobody.renewed(servers, timeouts)
    }

    /// The peers of these servers instead. Connections of servers that are called as before stay in use.
    pub(crate) fn renewed<'s>(
        &self,
        servers: impl IntoIterator<Item = (ServerId, &'s ServerSettings)>,
        timeouts: Timeouts,
    ) -> anyhow::Result<Self> {
        let renew = |(id, server): (ServerId, &ServerSettings)| {
            let check = Check::of(&server.tls)?;
            let checks = match self.servers.get(&id) {
                Some(before) if before.check.is_same(&check) => before.checks,
                Some(before) => before.checks.wrapping_add(1),
                None => 0,
            };
            let spec = Arc::new(server.spec.clone());
            Ok((id, Server { spec, check, checks, turn: AtomicUsize::new(0) }))
        };
        let servers = servers.into_iter().map(renew).collect::<anyhow::Result<_>>()?;
        let addresses = self.addresses.clone();
        Ok(Self { servers, addresses, timeouts, built: ArcSwap::default() })
    }

    /// The peer for a connection to `server`; `None` while its name has no address.
    pub(crate) fn peer(&self, server: ServerId, purpose: Use) -> Option<Box<HttpPeer>> {
        let known = self.servers.get(&server)?;
        let turn = known.turn.load(Ordering::Relaxed);
        let mut peer = Box::new(HttpPeer::clone(&*self.pooled(server, turn, known)?));
        if purpose != Use::Call {
            peer.group_key |= 1;
            peer.options.idle_timeout = Some(Duration::ZERO);
        }
        if purpose == Use::Create {
            peer.options.read_timeout = Some(self.timeouts.create);
        }
        Some(peer)
    }

    /// `server` could not be reached where it was tried: another of its addresses next time.
    pub(crate) fn try_next_address(&self, server: ServerId) {
        if let Some(known) = self.servers.get(&server) {
            known.turn.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Built once for each address and kept until an address changes: building costs more than cloning.
    fn pooled(&self, server: ServerId, turn: usize, known: &Server) -> Option<Arc<HttpPeer>> {
        let addresses = self.addresses.of(known.spec.url.bare_host());
        let at = turn.checked_rem(addresses.len())?;
        let generation = self.addresses.generation();
        let built = self.built.load();
        if built.generation == generation
            && let Some(peer) = built.peers.get(&(server, at))
        {
            return Some(peer.clone());
        }
        let address = SocketAddr::new(*addresses.get(at)?, known.spec.url.port);
        let peer = Arc::new(self.build(server, address, known));
        self.built.rcu(|built| {
            let mut peers =
                if built.generation == generation { built.peers.clone() } else { HashMap::new() };
            peers.insert((server, at), peer.clone());
            Built { generation, peers }
        });
        Some(peer)
    }

    fn build(&self, server: ServerId, address: SocketAddr, known: &Server) -> HttpPeer {
        let url = &known.spec.url;
        let mut peer = HttpPeer::new(address, url.https, url.bare_host().to_owned());
        // CA and checks are not part of what Pingora tells connections apart by; the group is.
        peer.group_key = (u64::from(known.checks) << 33) ^ ((u64::from(server.0) + 1) << 1);
        let options = &mut peer.options;
        options.connection_timeout = Some(self.timeouts.connect);
        options.total_connection_timeout = Some(self.timeouts.connect);
        options.read_timeout = Some(self.timeouts.call);
        options.write_timeout = Some(self.timeouts.call);
        options.idle_timeout = Some(POOL_IDLE);
        match &known.check {
            Check::System => {}
            Check::Ca(_, certificates) => options.ca = Some(certificates.clone()),
            Check::Skip => {
                options.verify_cert = false;
                options.verify_hostname = false;
            }
        }
        peer
    }
}
