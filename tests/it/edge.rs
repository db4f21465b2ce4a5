//! The edge: who a client is, and how it may connect.

mod acme;
mod authority;
mod forwarded;
mod pebble;
mod proxy_protocol;
mod redirect;
mod tls;
