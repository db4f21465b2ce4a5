//! The BigBlueButton wire: checksums, queries, calls, answers. Pure; knows nothing of servers, meetings or
//! sockets.

pub mod call;
pub mod checksum;
pub mod fault;
pub mod form;
pub mod id;
pub mod meetings;
pub mod query;
pub mod reply;
pub mod secret;
pub mod url;
pub mod xml;
