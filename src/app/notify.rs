//! What systemd is told (sd_notify): a datagram to the socket that it named. Without systemd nobody is told.

/// Says to systemd which process the service is from now on. Only the present main process may say so.
pub(crate) fn main_process_is(_pid: u32) {}
