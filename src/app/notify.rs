//! What systemd is told (sd_notify): a datagram to the socket that it named. Without systemd nobody is told.
//!
//! Only the main process is believed (`NotifyAccess=main`): a process that takes over is introduced by the one
//! before, and what it says until then is lost, which does no harm.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::state::State;

/// The service manager, if there is one.
#[derive(Debug, Default)]
pub struct Systemd {
    to: Option<SocketAddr>,
    /// How often it wants to hear that all is well.
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the service manager says in `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    pub fn of(socket: Option<&OsStr>, watchdog_us: Option<&str>) -> Self {
        let watchdog = watchdog_us.and_then(|text| text.parse().ok()).filter(|us| *us > 0);
        Self {
            to: socket.and_then(|socket| address(socket).ok()),
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    fn tell(&self, what: &str) {
        let Some(to) = &self.to else { return };
        let told = UnixDatagram::unbound()
            .and_then(|socket| socket.send_to_addr(what.as_bytes(), to).map(drop));
        if let Err(why) = told {
            log::warn!("systemd cannot be told; reason={why}");
        }
    }

    /// Connections are accepted.
    pub(crate) fn ready(&self, addresses: &[String]) {
        self.tell(&format!("READY=1\nSTATUS=serving on {}", addresses.join(", ")));
    }

    /// The configuration is being read anew; [`Self::reloaded`] follows.
    pub(crate) fn reloading(&self) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::monotonic_us()));
    }

    /// It was read.
    pub(crate) fn reloaded(&self, outcome: &str) {
        self.tell(&format!("READY=1\nSTATUS={outcome}"));
    }

    /// The end has begun.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing open requests");
    }

    /// Another process is the service from now on. Only the one before may say so.
    pub(crate) fn main_process_is(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}\nREADY=1"));
    }

    /// Says that all is well for as long as it is: when a lock is never given back, nothing is said.
    pub(crate) async fn watch(self: Arc<Self>, state: Arc<State>) {
        let Some(interval) = self.watchdog else { return };
        loop {
            let seen = state.clone();
            let looked = tokio::task::spawn_blocking(move || seen.cluster().open_claims());
            if tokio::time::timeout(interval, looked).await.is_ok() {
                self.tell("WATCHDOG=1");
            }
            tokio::time::sleep(interval / 2).await;
        }
    }
}

fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_sent_to_either_kind_of_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("@tinyscale-test-{}", std::process::id());
        let abstract_address = address(OsStr::new(&name)).unwrap();
        let by_name = UnixDatagram::bind_addr(&abstract_address).unwrap();
        for (socket, named) in [(by_path, path.as_os_str()), (by_name, OsStr::new(&name))] {
            Systemd::of(Some(named), None).main_process_is(7);
            let mut buffer = [0; 64];
            let count = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..count], b"MAINPID=7\nREADY=1");
        }
    }

    #[test]
    fn without_systemd_nothing_happens() {
        Systemd::of(None, Some("x")).stopping();
        let folder = tempfile::tempdir().unwrap();
        Systemd::of(Some(folder.path().join("none").as_os_str()), None).stopping();
    }
}
