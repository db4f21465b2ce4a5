//! The BigBlueButton wire: checksums, queries, calls, answers. Pure; knows nothing of servers, meetings or
//! sockets.

pub mod checksum;
pub mod secret;
pub mod url;
