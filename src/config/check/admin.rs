//! `admin`: tokens are fetched, and none may be guessed or be a secret of something else.

use std::net::{Ipv4Addr, SocketAddr};

use crate::bbb::secret::Secret;
use crate::config::check::Check;
use crate::config::file::admin::{AdminFile, TokenFile};
use crate::config::problem::Located;
use crate::config::secret::SecretSource;
use crate::config::settings::admin::{AdminSettings, AdminToken};
use crate::config::settings::edge::Redirect;
use crate::config::settings::{Address, Listen, ServerSettings};

/// As long as a token must be: 20 letters and digits of `openssl rand` cannot be guessed.
const TOKEN_CHARS_MIN: usize = 20;
const PORT: u16 = 3006;
/// For its owner and its group.
const SOCKET_MODE: u32 = 0o660;
const GENERATE: &str = "what `openssl rand -hex 24` prints, into a file of its own";

/// Whether only this machine can reach it.
fn is_local(address: &Address) -> bool {
    match address {
        Address::Ip(address) => address.ip().is_loopback(),
        Address::Unix(_) => true,
    }
}

impl Check<'_> {
    pub(super) fn admin(
        &mut self,
        file: Located<AdminFile>,
        secrets: &[Secret],
        servers: &[ServerSettings],
    ) -> AdminSettings {
        let Located { value: file, place } = file;
        let default = Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
        let place = file.address.as_ref().map_or(place, |address| address.place.clone());
        let address = file.address.map_or(default, |address| address.value);
        let mut tokens: Vec<AdminToken> = Vec::new();
        let count = file.tokens.len();
        for written in file.tokens {
            if let Some(token) = self.token(&written, &tokens, secrets, servers) {
                tokens.push(token);
            }
        }
        if count == 0 && !is_local(&address) {
            let what = "`admin` can be reached from other machines and has no `tokens`";
            self.problems.add(&place, what, "`tokens` for it, or the address 127.0.0.1:3006");
        }
        let listen = Listen {
            address,
            without_ipv6: None,
            place: place.to_string(),
            mode: SOCKET_MODE,
            tls: None,
            http2: false,
            proxy_protocol: None,
            redirect: Redirect::Off,
        };
        AdminSettings { listen, tokens }
    }

    fn token(
        &mut self,
        written: &TokenFile,
        before: &[AdminToken],
        secrets: &[Secret],
        servers: &[ServerSettings],
    ) -> Option<AdminToken> {
        let token = SecretSource::resolve(&written.token, self.source, self.problems)?;
        let name = written.name.value.clone();
        if before.iter().any(|other| other.name == name) {
            let what = "another token has this `name`";
            self.problems.add(&written.name.place, what, "a name of its own for each token");
        }
        let wrong = if token.bytes().len() < TOKEN_CHARS_MIN {
            Some("the token is shorter than 20 characters, and could be guessed")
        } else if secrets.iter().any(|secret| secret.is_same(&token)) {
            Some("the token is a secret of the front ends, who must not administrate")
        } else if servers.iter().any(|server| server.spec.secret.is_same(&token)) {
            Some("the token is the secret of a server")
        } else if before.iter().any(|other| other.token.is_same(&token)) {
            Some("the token is the same as another one")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            self.problems.add(&written.token.place, wrong, GENERATE);
            return None;
        }
        Some(AdminToken { name, role: written.role, token })
    }
}
