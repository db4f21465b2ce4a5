//! The edge: how connections and requests arrive before anybody asks what they want. Whose address a request
//! came from, which header lines speak for a proxy, certificates and TLS. Knows nothing of BigBlueButton.

pub mod client;
pub mod forwarded;
