//! The process that is taken over from, as the new one sees it.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context, bail};
use tokio::io::WriteHalf;
use tokio::sync::mpsc;

use crate::app::App;
use crate::app::upgrade::channel;
use crate::app::upgrade::message::{self, Message, Reader};
use crate::state::sibling::Sibling;
use crate::store::Store;

/// The old process, with what it hands over.
pub struct Predecessor {
    socket: UnixStream,
    listeners: Vec<OwnedFd>,
}

/// The old process, after it has handed everything over.
pub(crate) struct Companion {
    reader: Reader,
    writer: WriteHalf<tokio::net::UnixStream>,
    /// The store of the old process, if it is another one than this process's own.
    store: Option<Borrowed>,
}

/// A store that is used as long as there are two processes.
struct Borrowed {
    folder: PathBuf,
    /// Whether nobody needs it after that.
    ends: bool,
}

impl Borrowed {
    /// Goes on with this process's own store, if it has one.
    async fn give_back(self, app: &App) {
        app.state().keep_nowhere();
        if let Some(own) = &app.settings().state_dir {
            match Store::open(own).await {
                Ok(store) => app.state().keep_in(store),
                Err(why) => {
                    log::error!("the store cannot be used: serving from memory; reason={why}");
                }
            }
        }
        if self.ends {
            // The old process has done it, unless it was killed.
            let _ = std::fs::remove_dir_all(self.folder);
        }
    }
}

/// Says to the old process why there will be no new one.
pub struct Voice(UnixStream);

impl Voice {
    /// Says it. Nobody may be listening any more.
    pub fn failed(mut self, why: &str) {
        if let Ok(mut line) = serde_json::to_vec(&Message::Failed(why.to_owned())) {
            line.push(b'\n');
            let _ = self.0.write_all(&line);
        }
    }
}

impl Predecessor {
    /// Takes over from the process at the other end of the standard input.
    pub fn greet() -> io::Result<Self> {
        let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let listeners = channel::receive(&socket)?;
        // Nothing that this process starts later may hold the other end.
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok(Self { socket, listeners })
    }

    /// A way to tell of a failure, whatever becomes of the rest.
    pub fn voice(&self) -> io::Result<Voice> {
        self.socket.try_clone().map(Voice)
    }

    /// Takes everything over: listeners by their addresses, and what `app` is to know before it asks servers.
    pub(crate) async fn inherit(
        self,
        app: &App,
    ) -> anyhow::Result<(Vec<(String, OwnedFd)>, Companion)> {
        let gone = "the old process is gone";
        self.socket.set_nonblocking(true).context(gone)?;
        let socket = tokio::net::UnixStream::from_std(self.socket).context(gone)?;
        // Not `into_split`, whose end would silence the voice.
        let (read, writer) = tokio::io::split(socket);
        let mut reader = Reader::new(read);
        let Message::Hello { listeners, store, store_ends } = reader.next().await.context(gone)?
        else {
            bail!("the old process said something else than expected");
        };
        app.open_store().await;
        // While there are two processes, both must have the same one.
        let store = store.filter(|folder| app.settings().state_dir.as_ref() != Some(folder));
        if let Some(folder) = &store {
            app.open_store_in(folder).await;
        }
        let store = store.map(|folder| Borrowed { folder, ends: store_ends });
        loop {
            let known = reader.next().await.context(gone)?;
            if known == Message::Known {
                break;
            }
            app.inherit(known);
        }
        let named = listeners.into_iter().zip(self.listeners).collect();
        Ok((named, Companion { reader, writer, store }))
    }
}

impl Companion {
    /// Exchanges notes with the old process until it ends. The sender says that this one serves.
    pub(crate) fn accompany(self, app: &App) -> mpsc::Sender<Message> {
        let Self { mut reader, mut writer, store } = self;
        let (own, mut said) = mpsc::channel(1);
        let (sibling, mut notes) = Sibling::new();
        let (app, state) = (app.clone(), app.state().clone());
        state.set_sibling(Some(sibling));
        let listening = state.clone();
        let mut is_there = true;
        tokio::spawn(async move {
            while is_there {
                let message = tokio::select! {
                    Some(note) = notes.recv() => Message::of(note),
                    Some(message) = said.recv() => message,
                    else => break,
                };
                is_there = message::write(&mut writer, &message).await.is_ok();
            }
        });
        tokio::spawn(async move {
            while let Ok(message) = reader.next().await {
                if let Some(note) = message.into_note() {
                    listening.hear(note);
                }
            }
            log::info!("the old process has ended");
            state.set_sibling(None);
            if let Some(borrowed) = store {
                borrowed.give_back(&app).await;
            }
        });
        own
    }
}
