//! Header lines that make browsers careful, on every answer, whoever gives it: an answer that says one of them
//! itself is left as it is.

use std::any::Any;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderName;
use http::header::{REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use pingora::http::ResponseHeader;
use pingora::modules::http::{HttpModule, HttpModuleBuilder, Module};
use pingora_core::Result;

use crate::config::settings::edge::SecurityHeaders;
use crate::edge::client::Scheme;

/// What is told to browsers about every answer. Nothing about frames: front ends show meetings in them.
const LINES: [(HeaderName, &str); 2] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Links to meetings open them, so no other site gets to see one.
    (REFERRER_POLICY, "strict-origin-when-cross-origin"),
];

/// Makes the module of each request. Pingora makes it before it is known how the request came.
pub struct Careful;

impl HttpModuleBuilder for Careful {
    fn init(&self) -> Module {
        Box::new(Lines::default())
    }
}

/// What the answer of one request gets.
#[derive(Debug, Default)]
pub struct Lines {
    all: bool,
    /// For how long browsers use nothing but https, if they are told.
    hsts: Option<Duration>,
}

impl Lines {
    /// Decides, once it is known how the request came.
    pub fn decide(&mut self, headers: &SecurityHeaders, scheme: Scheme) {
        self.all = headers.enabled;
        // Without TLS anybody could have said it, and browsers do not believe it.
        let told = scheme == Scheme::Https && !headers.hsts.is_zero() && headers.enabled;
        self.hsts = told.then_some(headers.hsts);
    }

    fn write(&self, answer: &mut ResponseHeader) -> Result<()> {
        if answer.status.is_informational() {
            return Ok(());
        }
        for (name, value) in LINES.iter().filter(|_| self.all) {
            if !answer.headers.contains_key(name) {
                answer.insert_header(name, *value)?;
            }
        }
        if let Some(hsts) = self.hsts
            && !answer.headers.contains_key(STRICT_TRANSPORT_SECURITY)
        {
            let value = format!("max-age={}", hsts.as_secs());
            answer.insert_header(STRICT_TRANSPORT_SECURITY, value)?;
        }
        Ok(())
    }
}

#[async_trait]
impl HttpModule for Lines {
    async fn response_header_filter(
        &mut self,
        answer: &mut ResponseHeader,
        _end: bool,
    ) -> Result<()> {
        self.write(answer)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
