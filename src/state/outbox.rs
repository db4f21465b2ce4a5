//! Callbacks on their way, as those who take them and those who deliver them share it.
//!
//! A server is told that a callback was accepted only when the front end has it or it is safely kept; else the
//! server keeps it and tries again, and what arrives twice goes out once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::bbb::secret::Secret;
use crate::callback::envelope::{Envelope, Id};
use crate::callback::queue::{Next, Queue, Waiting};
use crate::callback::schedule::{self, Verdict};
use crate::callback::seal::{Keyring, Purpose};
use crate::callback::seen::Seen;
use crate::callback::{Kind, target};
use crate::clock::{self, Clock};
use crate::journal::Journal;

/// How long a server is kept waiting for the first attempt: servers wait five seconds themselves.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Callbacks that are not delivered yet.
pub struct Outbox {
    clock: Clock,
    keyring: ArcSwap<Keyring>,
    journal: Arc<dyn Journal>,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    queue: Queue,
    seen: Seen,
    parcels: HashMap<Id, Held>,
}

struct Held {
    envelope: Arc<Envelope>,
    secret: Secret,
    /// Whether the journal has it.
    kept: bool,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Untried,
    Failed,
    Over,
}

/// What to tell the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was delivered, or will be.
    Yes,
    /// It may be delivered yet, but a restart would lose it.
    NotSafely,
    /// There is no room.
    Full,
}

/// One attempt to make.
#[derive(Clone)]
pub struct Parcel {
    /// Which.
    pub id: Id,
    /// What to send.
    pub envelope: Arc<Envelope>,
    /// What to sign it with.
    pub secret: Secret,
}

/// What to do next.
pub enum Step {
    /// Make this attempt and tell [`Outbox::tried`].
    Try(Parcel),
    /// Wait, at most this long, for [`Outbox::changed`].
    Wait(Duration),
}

impl Outbox {
    /// An empty one. `keyring` opens what the journal has.
    pub fn new(keyring: Keyring, journal: Arc<dyn Journal>, clock: Clock) -> Self {
        let keyring = ArcSwap::from_pointee(keyring);
        Self { clock, keyring, journal, inner: Mutex::default(), changed: Notify::new() }
    }

    /// The keys of callback URLs.
    pub fn keyring(&self) -> Arc<Keyring> {
        self.keyring.load_full()
    }

    /// Front ends have other secrets from now on. What waits keeps the one that it came with.
    pub fn set_keyring(&self, keyring: Keyring) {
        self.keyring.store(Arc::new(keyring));
    }

    /// Makes the journal ready.
    pub fn prepare(&self) -> std::io::Result<()> {
        self.journal.prepare()
    }

    /// How many callbacks are not delivered yet.
    pub fn len(&self) -> usize {
        self.inner.lock().queue.len()
    }

    /// Whether all is delivered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a callback that is to be signed with `secret`, waits a little for its delivery, and keeps it if
    /// that takes longer.
    pub async fn take(self: &Arc<Self>, envelope: Envelope, secret: &Secret) -> Taken {
        let (id, mut progress) = match self.enter(envelope, secret) {
            Ok(Some(waiting)) => waiting,
            Ok(None) => return Taken::Yes,
            Err(full) => return full,
        };
        if *progress.borrow_and_update() == Progress::Untried {
            // An error means that it is over.
            let _ = tokio::time::timeout(PATIENCE, progress.changed()).await;
        }
        let over = !self.inner.lock().parcels.contains_key(&id);
        if over { Taken::Yes } else { self.keep(id).await }
    }

    /// Lets it in, or finds it: what to wait for. `None`: it is delivered or safe already.
    fn enter(
        &self,
        envelope: Envelope,
        secret: &Secret,
    ) -> Result<Option<(Id, watch::Receiver<Progress>)>, Taken> {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        let (sameness, instance) = (&envelope.sameness, envelope.instance.as_deref());
        let within = schedule::repeated_within(envelope.kind);
        let pending = |id| inner.queue.contains(id);
        if let Some(id) = inner.seen.repeated(sameness, instance, now, within, pending) {
            let held = inner.parcels.get(&id).filter(|held| !held.kept);
            return Ok(held.map(|held| (id, held.progress.subscribe())));
        }
        let id = envelope.id();
        inner.queue.add(waiting(id, &envelope), now).map_err(|_| Taken::Full)?;
        inner.seen.take(sameness, instance, id, now);
        // Behind one that cannot be delivered there is nothing to wait for.
        let stalled = inner.queue.is_stalled(&envelope.lane);
        let start = if stalled { Progress::Failed } else { Progress::Untried };
        let (progress, receiver) = watch::channel(start);
        let envelope = Arc::new(envelope);
        let held = Held { envelope, secret: secret.clone(), kept: false, progress };
        inner.parcels.insert(id, held);
        drop(inner);
        self.changed.notify_one();
        Ok(Some((id, receiver)))
    }

    async fn keep(self: &Arc<Self>, id: Id) -> Taken {
        if !self.journal.is_durable() {
            return Taken::NotSafely;
        }
        let this = self.clone();
        let writing = tokio::task::spawn_blocking(move || this.write(id));
        match writing.await {
            Ok(Ok(())) => Taken::Yes,
            Ok(Err(why)) => {
                log::error!("a callback could not be kept; reason={why}");
                Taken::NotSafely
            }
            Err(_) => Taken::NotSafely,
        }
    }

    fn write(&self, id: Id) -> std::io::Result<()> {
        let parcel = {
            let inner = self.inner.lock();
            inner.parcels.get(&id).map(|held| (held.envelope.clone(), held.secret.clone()))
        };
        // Delivered meanwhile.
        let Some((envelope, secret)) = parcel else { return Ok(()) };
        let keyring = self.keyring();
        let sealed = keyring.of(&secret).and_then(|sealer| {
            let bytes = envelope.to_bytes()?;
            sealer.seal(Purpose::Kept, &bytes)
        });
        let sealed = sealed.ok_or(std::io::ErrorKind::InvalidData)?;
        self.journal.write(id, &sealed)?;
        let still_there = match self.inner.lock().parcels.get_mut(&id) {
            Some(held) => {
                held.kept = true;
                true
            }
            None => false,
        };
        if !still_there {
            self.journal.remove(id);
        }
        Ok(())
    }

    /// Takes over what another process left; how many. Blocks.
    pub fn adopt(&self) -> usize {
        let known = |id| self.inner.lock().parcels.contains_key(&id);
        let (keyring, mut adopted) = (self.keyring(), 0);
        for (id, sealed) in self.journal.left_over(&known) {
            let Some((sealer, bytes)) = keyring.open(Purpose::Kept, &sealed) else {
                log::warn!("a callback was kept for a secret that is gone: dropped; id={id}");
                self.journal.remove(id);
                continue;
            };
            let Some(envelope) = Envelope::from_bytes(&bytes) else {
                log::warn!("a kept callback cannot be read: dropped; id={id}");
                self.journal.remove(id);
                continue;
            };
            let now = self.clock.now();
            let mut inner = self.inner.lock();
            // What does not fit now is looked at again later.
            if inner.queue.add(waiting(id, &envelope), now).is_err() {
                continue;
            }
            inner.seen.take(&envelope.sameness, envelope.instance.as_deref(), id, now);
            let (progress, _) = watch::channel(Progress::Failed);
            let (envelope, secret) = (Arc::new(envelope), sealer.secret.clone());
            inner.parcels.insert(id, Held { envelope, secret, kept: true, progress });
            adopted += 1;
        }
        if adopted > 0 {
            self.changed.notify_one();
        }
        adopted
    }

    /// Leaves what is kept to the next process.
    pub fn release(&self) {
        self.journal.release();
    }

    /// The next attempt.
    pub fn next(&self) -> Step {
        const LONG: Duration = Duration::from_secs(60);
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        loop {
            return match inner.queue.next(now) {
                Next::Try(id) => match inner.parcels.get(&id) {
                    Some(held) => {
                        let (envelope, secret) = (held.envelope.clone(), held.secret.clone());
                        Step::Try(Parcel { id, envelope, secret })
                    }
                    None => {
                        inner.queue.remove(id);
                        continue;
                    }
                },
                Next::At(then) => Step::Wait(then.since(now).min(LONG)),
                Next::Nothing => Step::Wait(LONG),
            };
        }
    }

    /// Resolves when there may be something new to do.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// An attempt was made; `reason` says what went wrong, in words without the URL. True if it was the last
    /// one, and in vain.
    pub async fn tried(&self, parcel: &Parcel, verdict: Verdict, reason: &str) -> bool {
        let envelope = &parcel.envelope;
        let kind = envelope.kind.name();
        let receiver = target::authority(&envelope.url);
        let age = Duration::from_secs(clock::unix_s().saturating_sub(envelope.received_s));
        let over = match verdict {
            Verdict::Delivered => {
                log::debug!("callback delivered; kind={kind} to={receiver}");
                true
            }
            Verdict::Refused => {
                log::warn!("callback refused for good; kind={kind} to={receiver} reason={reason}");
                true
            }
            Verdict::Later if age > schedule::give_up_after(envelope.kind) => {
                log::error!("callback given up; kind={kind} to={receiver} reason={reason}");
                true
            }
            Verdict::Later => false,
        };
        if over {
            let held = {
                let mut inner = self.inner.lock();
                inner.queue.remove(parcel.id);
                inner.parcels.remove(&parcel.id)
            };
            self.changed.notify_one();
            let given_up = verdict == Verdict::Later;
            let Some(held) = held else { return given_up };
            if held.kept {
                let (journal, id) = (self.journal.clone(), parcel.id);
                let _ = tokio::task::spawn_blocking(move || journal.remove(id)).await;
            }
            held.progress.send_replace(Progress::Over);
            return given_up;
        }
        let mut inner = self.inner.lock();
        let now = self.clock.now();
        inner.queue.later(parcel.id, now, |attempts| {
            let pause = schedule::pause(envelope.kind, attempts);
            let level = if attempts == 1 { log::Level::Warn } else { log::Level::Debug };
            log::log!(
                level,
                "callback not delivered yet; kind={kind} to={receiver} attempts={attempts} \
                 next={pause:?} reason={reason}"
            );
            u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
        });
        if let Some(held) = inner.parcels.get(&parcel.id) {
            held.progress.send_replace(Progress::Failed);
        }
        drop(inner);
        self.changed.notify_one();
        false
    }
}

fn waiting(id: Id, envelope: &Envelope) -> Waiting {
    Waiting {
        id,
        lane: envelope.lane.clone(),
        in_order: envelope.kind == Kind::Hook,
        bytes: envelope.size_bytes(),
    }
}
