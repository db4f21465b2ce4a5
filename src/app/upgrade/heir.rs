//! The process that takes over, as the old one sees it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;
use tokio::io::WriteHalf;
use tokio::sync::{mpsc, watch};

use crate::app::App;
use crate::app::listen::Bound;
use crate::app::stop::Meant;
use crate::app::upgrade::message::{self, Message, Reader};
use crate::app::upgrade::{Program, TAKE_OVER, channel, estate};
use crate::state::sibling::{Note, Sibling};
use crate::store::Store;

/// How often it is looked whether a process that has broken off has ended, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const LOOKS: u32 = 200;

/// What the new process says after it was told everything.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Nothing,
    Serving,
    Failed(String),
    Gone,
}

/// A new process that serves.
pub(crate) struct Heir {
    child: Unborn,
    word: watch::Receiver<Word>,
    _shared: Shared,
}

/// A process that is ended unless it was seen to serve.
struct Unborn {
    child: Child,
    serves: bool,
}

impl Drop for Unborn {
    fn drop(&mut self) {
        if !self.serves {
            // An error means that it has ended by itself.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What two processes need and one does not; it ends with this.
struct Shared {
    app: App,
    /// The folder of a store for claims, if there is no other.
    store: Option<TempDir>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.app.state().set_sibling(None);
        if self.store.is_some() {
            self.app.state().keep_nowhere();
        }
    }
}

impl Shared {
    /// Where the store is that both have.
    fn folder(&self) -> Option<PathBuf> {
        let own = self.store.as_ref().map(|folder| folder.path().to_owned());
        own.or_else(|| self.app.settings().state_dir.clone())
    }

    async fn begin(app: &App) -> anyhow::Result<(Self, mpsc::Receiver<Note>)> {
        let state = app.state();
        let mut shared = Self { app: app.clone(), store: None };
        if state.store().is_none() {
            let folder = tempfile::Builder::new()
                .prefix("tinyscale-")
                .tempdir()
                .context("no folder for what both processes must know; set `state_dir`")?;
            let store = Store::open(folder.path()).await.context("no store for both processes")?;
            state.keep_in(store);
            shared.store = Some(folder);
        }
        let (sibling, notes) = Sibling::new();
        state.set_sibling(Some(sibling));
        // Those that begin from now on tell the store themselves.
        let under_way = state.cluster().under_way();
        if let Some(store) = shared.store.is_some().then(|| state.store()).flatten() {
            for (claim, meeting, server) in under_way {
                let name = state.cluster().member(server).map(|member| member.spec.name.clone());
                if let Some(name) = name {
                    store.claim(meeting, claim, &name).await;
                }
            }
        }
        Ok((shared, notes))
    }
}

impl Heir {
    /// Starts `program` and waits until it serves, at most for `upgrade_deadline`. If this fails, or is given up, the new
    /// process is ended and nothing has changed.
    pub(crate) async fn raise(app: &App, program: &Program, bound: &Bound) -> anyhow::Result<Self> {
        if app.state().has_sibling() {
            bail!(
                "the process before this one has not ended yet; it takes at most its `grace_period`"
            );
        }
        let patience = app.settings().process.upgrade_deadline;
        let (shared, notes) = Shared::begin(app).await?;
        let (ours, theirs) = UnixStream::pair().context("no sockets")?;
        let listeners: Vec<(String, BorrowedFd<'_>)> = bound.fds().collect();
        let fds: Vec<BorrowedFd<'_>> = listeners.iter().map(|(_, fd)| fd.as_fd()).collect();
        channel::send(&ours, &fds).context("the listeners cannot be handed over")?;
        let child = Command::new(&program.path)
            .args(&program.args)
            .arg(TAKE_OVER)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .with_context(|| format!("{} cannot be started", program.path.display()))?;
        let child = Unborn { child, serves: false };
        log::info!("a new process was started to take over; pid={}", child.child.id());
        let hello = Message::Hello {
            listeners: listeners.iter().map(|(address, _)| address.clone()).collect(),
            store: shared.folder(),
            store_ends: shared.store.is_some(),
        };
        let word = talk(app, ours, hello, notes)?;
        let mut heir = Self { child, word, _shared: shared };
        match tokio::time::timeout(patience, heir.first_word()).await {
            Ok(Ok(())) => Ok(heir),
            Ok(Err(why)) => Err(why),
            Err(_) => bail!(
                "it did not serve within {} s, as `upgrade_deadline` wants it to",
                patience.as_secs()
            ),
        }
    }

    /// Which process it is.
    pub(crate) fn pid(&self) -> u32 {
        self.child.child.id()
    }

    /// Passes a signal on.
    pub(crate) fn signal(&self, meant: Meant) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        // An error means that it has just ended.
        let _ = pid.map(|pid| kill_process(pid, meant.0));
    }

    async fn first_word(&mut self) -> anyhow::Result<()> {
        let word = self.word.wait_for(|word| *word != Word::Nothing).await;
        match word.map_or(Word::Gone, |word| word.clone()) {
            Word::Serving => {
                self.child.serves = true;
                return Ok(());
            }
            Word::Failed(why) => bail!("{}", why.trim_end()),
            Word::Nothing | Word::Gone => {}
        }
        // Its end of the sockets is closed: it has ended, or is about to, or says nothing any more.
        for _ in 0..LOOKS {
            if let Some(status) = self.child.child.try_wait().context("it is gone")? {
                bail!("it ended before it served: {status}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("it broke off before it served")
    }

    /// Resolves when it is gone, which it should not be.
    pub(crate) async fn gone(&mut self) {
        let is_over = |word: &Word| matches!(word, Word::Gone | Word::Failed(_));
        // An error means that nobody listens to it any more.
        let _ = self.word.wait_for(is_over).await;
    }

    /// Forgets about it after it is gone.
    pub(crate) fn bury(mut self) {
        self.child.serves = false;
    }
}

/// Tells the new process everything and then exchanges notes with it. Its word.
fn talk(
    app: &App,
    socket: UnixStream,
    hello: Message,
    mut notes: mpsc::Receiver<Note>,
) -> anyhow::Result<watch::Receiver<Word>> {
    socket.set_nonblocking(true).context("no socket")?;
    let socket = tokio::net::UnixStream::from_std(socket).context("no socket")?;
    let (read, mut writer) = tokio::io::split(socket);
    let estate = estate::of(app.state());
    let writing =
        async move |writer: &mut WriteHalf<tokio::net::UnixStream>| -> std::io::Result<()> {
            message::write(writer, &hello).await?;
            for message in estate {
                message::write(writer, &message).await?;
            }
            while let Some(note) = notes.recv().await {
                message::write(writer, &Message::of(note)).await?;
            }
            Ok(())
        };
    tokio::spawn(async move {
        // It is gone, as the reader finds out.
        let _ = writing(&mut writer).await;
    });
    let (say, word) = watch::channel(Word::Nothing);
    let state = app.state().clone();
    tokio::spawn(async move {
        let mut reader = Reader::new(read);
        while let Ok(message) = reader.next().await {
            if message == Message::Serving {
                say.send_replace(Word::Serving);
            } else if let Message::Failed(why) = message {
                say.send_replace(Word::Failed(why));
            } else if let Some(note) = message.into_note() {
                state.hear(note);
            }
        }
        say.send_if_modified(|word| {
            let is_news = !matches!(word, Word::Failed(_));
            if is_news {
                *word = Word::Gone;
            }
            is_news
        });
    });
    Ok(word)
}
