//! What is answered before anybody asks which call it is: the proof that an ACME server wants to see, and the way
//! to https.

use std::sync::Arc;

use http::{Method, StatusCode};
use pingora_proxy::Session;

use crate::bbb::call::CallName;
use crate::callback;
use crate::config::settings::Settings;
use crate::edge::acme::proofs::{Proof, Proofs};
use crate::edge::certificates::Certificates;
use crate::edge::connection::Arrival;
use crate::edge::redirect::Secure;
use crate::gateway::Gateway;
use crate::gateway::answer::Outcome;
use crate::gateway::exchange::Exchange;
use crate::gateway::request::Head;

const NOT_READY: &str = "HTTPS is not ready here yet: the certificate is still being ordered. Please try again in a \
                         minute. If it takes longer, the log of tinyscale says why.\n";

/// What the entrance knows.
#[derive(Clone, Default)]
pub struct Entrance {
    secure: Secure,
    certificates: Option<Arc<Certificates>>,
    proofs: Option<Arc<Proofs>>,
}

impl Entrance {
    /// To what `settings` listen at.
    pub fn new(settings: &Settings, certificates: Arc<Certificates>, proofs: Arc<Proofs>) -> Self {
        let secure = Secure::of(&settings.listen, settings.public_url.as_deref());
        Self { secure, certificates: Some(certificates), proofs: Some(proofs) }
    }
}

impl Gateway {
    /// With another entrance than none.
    pub fn with_entrance(mut self, entrance: Entrance) -> Self {
        self.entrance = entrance;
        self
    }

    /// The answer that is given here, if one is.
    pub(crate) fn at_entrance(
        &self,
        session: &Session,
        exchange: &Exchange,
        head: &Head,
        name: Option<&CallName>,
    ) -> Option<Outcome> {
        match self.entrance.proofs.as_ref().and_then(|proofs| proofs.at(&head.path)) {
            Some(Proof::Text(text)) => return Some(Outcome::Text(StatusCode::OK, text.into())),
            Some(Proof::Unknown) => {
                let text = "there is no such proof\n".into();
                return Some(Outcome::Text(StatusCode::NOT_FOUND, text));
            }
            None => {}
        }
        let arrival = Arrival::of(session.digest());
        let client = exchange.client.as_ref()?;
        let is_join = name.is_some_and(|name| name.label() == "join");
        let is_api = name.is_some() && !is_join || callback::token_of(&head.path).is_some();
        let query = if head.query.is_empty() { String::new() } else { format!("?{}", head.query) };
        let target = format!("{}{query}", head.path);
        let location = self.entrance.secure.redirect(arrival.redirect, client, &target, is_api)?;
        if self.entrance.certificates.as_ref().is_some_and(|known| known.used().is_empty()) {
            return Some(Outcome::Text(StatusCode::SERVICE_UNAVAILABLE, NOT_READY.into()));
        }
        let method = &session.req_header().method;
        // Clients turn a POST into a GET on the way, unless they are told not to.
        let status = match *method {
            Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
            _ => StatusCode::PERMANENT_REDIRECT,
        };
        Some(Outcome::Moved(status, location))
    }
}
