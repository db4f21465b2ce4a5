//! The edge: who a client is, and how it may connect.

mod access_log;
mod acme;
pub(crate) mod authority;
mod browser;
mod forwarded;
mod guard;
mod pebble;
mod proxy_protocol;
mod redirect;
mod tls;
