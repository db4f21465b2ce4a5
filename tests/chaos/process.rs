//! A process that is started, killed, frozen and started again. Ended when dropped, by its own number.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

/// One place for a process, with or without one in it.
pub(crate) struct Slot {
    program: Vec<String>,
    folder: std::path::PathBuf,
    log: std::path::PathBuf,
    child: Mutex<Option<Child>>,
}

impl Slot {
    pub(crate) fn new(program: Vec<String>, folder: &Path, name: &str) -> Self {
        let log = folder.join(format!("{name}.log"));
        Self { program, folder: folder.to_owned(), log, child: Mutex::new(None) }
    }

    pub(crate) fn start(&self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let child = Command::new(&self.program[0])
            .args(&self.program[1..])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.child.lock() = Some(child);
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child.lock().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = self.child.lock().as_ref() {
            kill_process(Pid::from_child(child), signal).unwrap();
        }
    }

    /// Whether it has ended without being told to.
    pub(crate) fn ended_by_itself(&self) -> bool {
        self.child.lock().as_mut().is_some_and(|child| child.try_wait().unwrap().is_some())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until somebody listens there.
pub(crate) async fn listening(address: SocketAddr) -> bool {
    for _ in 0..1_200 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    false
}
