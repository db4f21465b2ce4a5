//! Where to listen: from what was written to what is used.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::check::Check;
use crate::config::environment;
use crate::config::file::listen::{AcmeFile, ListenFile, ListenTlsFile};
use crate::config::problem::Located;
use crate::config::settings::Listen;
use crate::config::settings::edge::{AcmeSettings, Address, CertificateFiles, ListenTls, Redirect};

/// The mode of a Unix socket: for its owner and its group.
const SOCKET_MODE: u32 = 0o660;

impl Check<'_> {
    /// `has_state_dir`: whether there is a place for certificates that are ordered.
    pub(super) fn listen(
        &mut self,
        file: Option<Located<Vec<ListenFile>>>,
        env: Option<Located<Vec<ListenFile>>>,
        has_state_dir: bool,
    ) -> Vec<Listen> {
        for list in [&file, &env].into_iter().flatten() {
            for (i, entry) in list.value.iter().enumerate() {
                let address = &entry.address;
                let mut earlier = list.value[..i].iter();
                let first = earlier.find(|first| first.address.value == address.value);
                self.duplicate("address", first.map(|first| &first.address.place), &address.place);
            }
        }
        if let (Some(file), Some(env)) = (&file, &env) {
            let addresses = |list: &Located<Vec<ListenFile>>| -> Vec<Address> {
                list.value.iter().map(|entry| entry.address.value.clone()).collect()
            };
            if addresses(file) != addresses(env) {
                self.contradiction(&file.place, &env.place);
            }
        }
        match file.or(env) {
            Some(list) => {
                let some_tls = list.value.iter().any(|entry| entry.tls.is_some());
                let entries = list.value.into_iter();
                entries.map(|entry| self.listener(entry, some_tls, has_state_dir)).collect()
            }
            None => vec![self.port()],
        }
    }

    fn listener(&mut self, entry: ListenFile, some_tls: bool, has_state_dir: bool) -> Listen {
        let ListenFile { address, mode, tls, http2, proxy_protocol, redirect } = entry;
        let is_unix = matches!(address.value, Address::Unix(_));
        if let Some(mode) = mode.as_ref().filter(|_| !is_unix) {
            let what = "`mode` is of no use for an IP address";
            self.problems.add(&mode.place, what, "it only with an address like unix:/run/a.sock");
        }
        if let Some(redirect) = redirect.as_ref().filter(|redirect| redirect.value != Redirect::Off)
        {
            if tls.is_some() {
                let what = "`redirect` is of no use with `tls`: what comes here is encrypted";
                self.problems.add(&redirect.place, what, "it at an address without `tls`");
            } else if !some_tls {
                let what = "`redirect` leads nowhere: no entry of `listen` has `tls`";
                self.problems.add(&redirect.place, what, "an entry with `tls`, or no `redirect`");
            }
        }
        // Who has a certificate, and listens where browsers go without being told, means this.
        let usual = match &address.value {
            Address::Ip(address) if some_tls && tls.is_none() && address.port() == 80 => {
                Redirect::All
            }
            Address::Ip(_) | Address::Unix(_) => Redirect::Off,
        };
        let is_tls = tls.is_some();
        Listen {
            without_ipv6: None,
            place: address.place.to_string(),
            address: match address.value {
                Address::Unix(path) => Address::Unix(self.source.path(&path)),
                address @ Address::Ip(_) => address,
            },
            mode: mode.map_or(SOCKET_MODE, |mode| mode.value),
            tls: tls.map(|tls| self.listen_tls(tls, has_state_dir)),
            http2: http2.unwrap_or(is_tls),
            proxy_protocol,
            redirect: redirect.map_or(usual, |redirect| redirect.value),
        }
    }

    /// What is used if nobody chose an address.
    fn port(&mut self) -> Listen {
        let port = environment::port(self.source, self.problems);
        let place = port.as_ref().map(|(_, place)| place.to_string()).unwrap_or_default();
        let port = port.map_or(environment::PORT_DEFAULT, |(port, _)| port);
        let without_ipv6 = Some((Ipv4Addr::UNSPECIFIED, port).into());
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        Listen { without_ipv6, place, ..Listen::plain(address) }
    }

    fn listen_tls(&mut self, tls: Located<ListenTlsFile>, has_state_dir: bool) -> ListenTls {
        let certificates = tls.value.certificates.into_iter().map(|files| CertificateFiles {
            cert: self.source.path(&files.cert),
            key: self.source.path(&files.key),
            place: files.place.to_string(),
        });
        let certificates = certificates.collect();
        let acme = tls.value.acme.map(|acme| self.acme(acme, has_state_dir));
        ListenTls { certificates, acme }
    }

    fn acme(&mut self, acme: Located<AcmeFile>, has_state_dir: bool) -> AcmeSettings {
        let Located { value: AcmeFile { email, domains, directory, ca }, place } = acme;
        if !has_state_dir {
            let what = "`acme` needs a folder that keeps its certificates over a restart";
            self.problems.add(&place, what, "`state_dir: PATH` at the top level, too");
        }
        if let Some(ca) = &ca {
            self.certificates(&ca.value, &ca.place);
        }
        AcmeSettings {
            email,
            domains,
            directory: directory.unwrap_or_else(|| AcmeSettings::LETS_ENCRYPT.to_owned()),
            ca: ca.map(|ca| self.source.path(&ca.value)),
            first_retry: AcmeSettings::FIRST_RETRY,
        }
    }
}
