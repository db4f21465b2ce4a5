//! The edge: who a client is, and how it may connect.

mod authority;
mod browser;
mod forwarded;
mod proxy_protocol;
mod redirect;
mod tls;
