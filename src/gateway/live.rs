//! The gateway that serves now. A reload puts another one in its place: requests that have begun end with the
//! one that they began with, connections notice nothing.
//!
//! Holds no rules: each of Pingora's calls goes to the request's own gateway.

use std::any::Any;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::gateway::Gateway;
use crate::gateway::exchange::Exchange;

/// A gateway that can be replaced while it serves. Clones are the same one.
#[derive(Clone)]
pub struct Live(Arc<ArcSwap<Gateway>>);

/// A request and the gateway that it began with.
pub struct Passage(Arc<Gateway>, Exchange);

impl Live {
    /// Serves with `gateway`.
    pub fn new(gateway: Gateway) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(gateway)))
    }

    /// The one that serves now.
    pub fn now(&self) -> Arc<Gateway> {
        self.0.load_full()
    }

    /// Serves requests that begin from now on with `gateway`.
    pub fn replace(&self, gateway: Gateway) {
        self.0.store(Arc::new(gateway));
    }
}

/// Methods as `async_trait` declares them, whose future is the gateway's own: wrapping it in another one would
/// cost an allocation for each call of each request.
macro_rules! pass_on {
    ($($name:ident <$($life:lifetime),*> ($($arg:ident: $type:ty),*) -> $out:ty;)*) => {$(
        fn $name<'me, 'session, $($life,)* 'passage, 'all>(
            &'me self,
            session: &'session mut Session,
            $($arg: $type,)*
            passage: &'passage mut Passage,
        ) -> BoxFuture<'all, $out>
        where
            'me: 'all,
            'session: 'all,
            $($life: 'all,)*
            'passage: 'all,
            Self: 'all,
        {
            let Passage(gateway, exchange) = passage;
            gateway.$name(session, $($arg,)* exchange)
        }
    )*};
}

impl ProxyHttp for Live {
    type CTX = Passage;

    fn new_ctx(&self) -> Passage {
        let gateway = self.now();
        let exchange = gateway.new_ctx();
        Passage(gateway, exchange)
    }

    fn init_downstream_modules(&self, modules: &mut HttpModules) {
        self.now().init_downstream_modules(modules);
    }

    pass_on! {
        early_request_filter<>() -> Result<()>;
        request_filter<>() -> Result<bool>;
        request_body_filter<'body>(body: &'body mut Option<Bytes>, end: bool) -> Result<()>;
        proxy_upstream_filter<>() -> Result<bool>;
        upstream_peer<>() -> Result<Box<HttpPeer>>;
        connected_to_upstream<'peer, 'digest>(
            reused: bool, peer: &'peer HttpPeer, fd: RawFd, digest: Option<&'digest Digest>
        ) -> Result<()>;
        upstream_request_filter<'header>(header: &'header mut RequestHeader) -> Result<()>;
        upstream_response_filter<'header>(header: &'header mut ResponseHeader) -> Result<()>;
        response_filter<'header>(header: &'header mut ResponseHeader) -> Result<()>;
        response_trailer_filter<'trailers>(
            trailers: &'trailers mut HeaderMap
        ) -> Result<Option<Bytes>>;
        fail_to_proxy<'error>(error: &'error Error) -> FailToProxy;
        logging<'error>(error: Option<&'error Error>) -> ();
    }

    fn upstream_response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        Passage(gateway, exchange): &mut Passage,
    ) -> Result<Option<Duration>> {
        gateway.upstream_response_body_filter(session, body, end, exchange)
    }

    fn upstream_response_trailer_filter(
        &self,
        session: &mut Session,
        trailers: &mut HeaderMap,
        Passage(gateway, exchange): &mut Passage,
    ) -> Result<()> {
        gateway.upstream_response_trailer_filter(session, trailers, exchange)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        Passage(gateway, exchange): &mut Passage,
    ) -> Result<Option<Duration>> {
        gateway.response_body_filter(session, body, end, exchange)
    }

    fn persist_connection_context(
        &self,
        session: &Session,
        Passage(gateway, exchange): &Passage,
    ) -> Option<Box<dyn Any + Send + Sync>> {
        gateway.persist_connection_context(session, exchange)
    }

    fn on_connection_reuse(
        &self,
        session: &mut Session,
        Passage(gateway, exchange): &mut Passage,
        kept: Box<dyn Any + Send + Sync>,
    ) {
        gateway.on_connection_reuse(session, exchange, kept);
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        Passage(gateway, exchange): &mut Passage,
        reused: bool,
    ) -> Box<Error> {
        gateway.error_while_proxy(peer, session, error, exchange, reused)
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        peer: &HttpPeer,
        Passage(gateway, exchange): &mut Passage,
        error: Box<Error>,
    ) -> Box<Error> {
        gateway.fail_to_connect(session, peer, exchange, error)
    }

    fn suppress_error_log(
        &self,
        session: &Session,
        Passage(gateway, exchange): &Passage,
        error: &Error,
    ) -> bool {
        gateway.suppress_error_log(session, exchange, error)
    }

    fn suppress_proxy_warn_log(
        &self,
        session: &Session,
        Passage(gateway, exchange): &Passage,
        error: &Error,
        context: ProxyWarnLogContext,
    ) -> bool {
        gateway.suppress_proxy_warn_log(session, exchange, error, context)
    }

    fn request_summary(&self, session: &Session, Passage(gateway, exchange): &Passage) -> String {
        gateway.request_summary(session, exchange)
    }
}
