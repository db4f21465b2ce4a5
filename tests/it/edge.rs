//! The edge: who a client is, and how it may connect.

mod forwarded;
