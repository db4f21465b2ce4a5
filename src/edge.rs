//! The edge: how connections and requests arrive before anybody asks what they want. Whose address a request
//! came from, which header lines speak for a proxy, certificates and TLS. Knows nothing of BigBlueButton.

pub mod acme;
pub mod certificates;
pub mod client;
pub mod connection;
pub mod door;
pub mod forwarded;
pub mod headers;
pub mod proxy_protocol;
pub mod redirect;
pub mod tls;
