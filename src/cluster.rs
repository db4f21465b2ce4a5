//! What is known of servers and meetings, and what follows from it. Pure: no clock, socket, task or file.

pub mod server;
