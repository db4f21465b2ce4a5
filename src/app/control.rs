//! How commands like `tinyscale reload` reach the process: a socket in `process.run_dir` that only this user and
//! root may use, and the process's ID beside it. One line asks, lines answer, the last one says how it went.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::app::App;

/// The socket in the folder.
const SOCKET: &str = "control.sock";
/// The process's ID in the folder.
const PID: &str = "tinyscale.pid";
/// The last line of an answer.
const OK: &str = "ok";
/// The last line of an answer that says why not.
const FAILED: &str = "failed";
/// Commands that are listened to at the same time.
const COMMANDS_MAX: usize = 16;
const LINE_BYTES_MAX: u64 = 1024;
/// How long somebody may take to say what they want.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an upgrade came to: the new process, or why there is none.
pub(crate) type Outcome = Result<u32, String>;
/// Asks for an upgrade, and wants to know what came of it.
pub(crate) type AskUpgrade = mpsc::Sender<Option<oneshot::Sender<Outcome>>>;

/// The files by which this process is found, until they are dropped.
pub(crate) struct Control {
    files: Vec<(PathBuf, u64)>,
}

/// Who asks for what.
#[derive(Clone)]
struct Desk {
    app: App,
    upgrade: AskUpgrade,
}

impl Control {
    /// Listens in `folder` from now on; nowhere without one. `takes_over` says that another process did before.
    pub(crate) fn open(app: &App, upgrade: &AskUpgrade, takes_over: bool) -> anyhow::Result<Self> {
        let Some(folder) = app.settings().process.run_dir.clone() else {
            return Ok(Self { files: Vec::new() });
        };
        let shown = folder.display();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("`process.run_dir`: {shown} cannot be made"))?;
        let socket = folder.join(SOCKET);
        if !takes_over && std::os::unix::net::UnixStream::connect(&socket).is_ok() {
            bail!("`process.run_dir`: another tinyscale uses {shown}; give each its own");
        }
        let cannot = || format!("`process.run_dir`: cannot listen in {shown}");
        let listener = listen(&socket).with_context(cannot)?;
        let pid = folder.join(PID);
        replace(&pid, format!("{}\n", std::process::id()).as_bytes()).with_context(cannot)?;
        let files = [socket, pid].into_iter();
        let files = files.filter_map(|path| Some((path.clone(), inode(&path)?))).collect();
        let desk = Desk { app: app.clone(), upgrade: upgrade.clone() };
        tokio::spawn(desk.serve(listener));
        Ok(Self { files })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        for (path, ours) in &self.files {
            // The next process has put its own there.
            if inode(path) == Some(*ours) {
                // An error means that it is gone.
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|file| file.ino())
}

/// A file beside `path` that will take its place.
fn beside(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.new", std::process::id()))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path);
    fs::write(&new, bytes)?;
    fs::rename(new, path)
}

/// Takes the place of whoever listened there before.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let new = beside(path);
    // Of a process with the same ID that was killed.
    let _ = fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(new, path)?;
    Ok(listener)
}

impl Desk {
    async fn serve(self, listener: UnixListener) {
        let room = Arc::new(Semaphore::new(COMMANDS_MAX));
        loop {
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(PATIENCE).await;
                continue;
            };
            let this = self.clone();
            tokio::spawn(async move {
                // Whoever asked is gone.
                let _ = this.answer(stream).await;
                drop(permit);
            });
        }
    }

    async fn answer(&self, mut stream: UnixStream) -> io::Result<()> {
        // This process does not end before it has answered.
        let _in_flight = self.app.state().in_flight().begin();
        let us = rustix::process::geteuid().as_raw();
        if ![0, us].contains(&stream.peer_cred()?.uid()) {
            return Ok(());
        }
        let (read, mut write) = stream.split();
        let mut line = String::new();
        let mut read = BufReader::new(read.take(LINE_BYTES_MAX));
        let asking = tokio::time::timeout(PATIENCE, read.read_line(&mut line));
        asking.await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
        let (text, last) = match self.obey(line.trim()).await {
            Ok(text) => (text, OK),
            Err(text) => (text, FAILED),
        };
        write.write_all(format!("{}\n{last}\n", text.trim_end()).as_bytes()).await
    }

    async fn obey(&self, asked: &str) -> Result<String, String> {
        match asked {
            "reload" => {
                let app = self.app.clone();
                let reload = tokio::task::spawn_blocking(move || app.reload()).await;
                reload.map_err(|why| why.to_string())?.outcome.map(|report| report.to_string())
            }
            "upgrade" => {
                let (tell, told) = oneshot::channel();
                let busy = "an upgrade is under way already";
                self.upgrade.try_send(Some(tell)).map_err(|_| busy.to_owned())?;
                let outcome = told.await.map_err(|_| "this process is stopping".to_owned())?;
                outcome.map(|pid| format!("the new process {pid} serves"))
            }
            _ => Err("tinyscale: this version does not know that command".to_owned()),
        }
    }
}

/// Asks the process that is found in `folder`; its answer. Waits as long as it takes.
pub fn ask(folder: &Path, what: &str) -> Result<String, String> {
    use std::io::{Read, Write};
    let path = folder.join(SOCKET);
    let nobody =
        |why: io::Error| format!("tinyscale: no process is found in {}: {why}", folder.display());
    let mut stream = std::os::unix::net::UnixStream::connect(path).map_err(nobody)?;
    stream.write_all(format!("{what}\n").as_bytes()).map_err(nobody)?;
    let mut text = String::new();
    let broken = "tinyscale: the process ended before it answered";
    stream.read_to_string(&mut text).map_err(|why| format!("{broken}: {why}"))?;
    let (text, last) = text.trim_end().rsplit_once('\n').ok_or_else(|| broken.to_owned())?;
    match last {
        OK => Ok(text.to_owned()),
        FAILED => Err(text.to_owned()),
        _ => Err(broken.to_owned()),
    }
}
