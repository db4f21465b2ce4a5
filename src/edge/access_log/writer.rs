//! Writes lines on a thread of its own. No request ever waits for it: a line that finds the queue full is dropped
//! and counted, and the log says how many were.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use anyhow::Context;

use crate::config::settings::traffic::{AccessLogSettings, LogTarget};
use crate::edge::access_log::Record;

/// Lines that wait to be written: a second of a very busy machine, a few MiB.
const WAITING_MAX: usize = 16_384;
/// How long the end of the program waits for the lines that are left.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// An access log. Clones are the same one.
#[derive(Debug, Clone)]
pub struct AccessLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: AccessLogSettings,
    lines: SyncSender<Entry>,
    reopen: Arc<AtomicBool>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Line(String),
    /// Something else is to be done: see if the file is to be opened anew.
    Wake,
    /// Everything before this is to be written now.
    Flush(SyncSender<()>),
}

impl AccessLog {
    /// Starts it; `None` if there is none. Fails if its file cannot be written.
    pub fn start(settings: &AccessLogSettings) -> anyhow::Result<Option<Self>> {
        let sink = match &settings.to {
            LogTarget::Nowhere => return Ok(None),
            LogTarget::Stdout => Sink::Stdout(BufWriter::new(std::io::stdout())),
            LogTarget::File(path) => {
                let file = open(path)
                    .with_context(|| format!("cannot write the access log {}", path.display()))?;
                Sink::File(BufWriter::new(file), path.clone())
            }
        };
        let (lines, waiting) = sync_channel(WAITING_MAX);
        let (reopen, dropped) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let writer = Writer {
            sink,
            waiting,
            reopen: reopen.clone(),
            dropped: dropped.clone(),
            told: 0,
            fails: false,
        };
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        thread.spawn(move || writer.run()).context("cannot start a thread")?;
        let settings = settings.clone();
        Ok(Some(Self(Arc::new(Shared { settings, lines, reopen, dropped }))))
    }

    /// Writes `record` down, soon.
    pub fn write(&self, record: &Record) {
        let line = record.line(self.0.settings.format, self.0.settings.addresses);
        if self.0.lines.try_send(Entry::Line(line)).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the file anew: somebody has moved it away.
    pub fn reopen(&self) {
        self.0.reopen.store(true, Ordering::Release);
        // If the queue is full, the next line wakes it as well.
        let _ = self.0.lines.try_send(Entry::Wake);
    }

    /// How many lines were dropped because more came than could be written.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything so far is written, for two seconds at most.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.0.lines.try_send(Entry::Flush(done)).is_ok() {
            // An error means that it took too long; the program ends all the same.
            let _ = wait.recv_timeout(FLUSH_WITHIN);
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Lines tell who used the service when: nobody else's business.
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

#[derive(Debug)]
enum Sink {
    Stdout(BufWriter<Stdout>),
    File(BufWriter<File>, PathBuf),
}

struct Writer {
    sink: Sink,
    waiting: Receiver<Entry>,
    reopen: Arc<AtomicBool>,
    dropped: Arc<AtomicU64>,
    /// How many dropped lines were told of.
    told: u64,
    /// Whether the last line could not be written, which is told once.
    fails: bool,
}

impl Writer {
    fn run(mut self) {
        loop {
            let next = match self.waiting.try_recv() {
                Ok(entry) => Some(entry),
                Err(TryRecvError::Disconnected) => return self.flush(),
                Err(TryRecvError::Empty) => {
                    self.flush();
                    match self.waiting.recv_timeout(Duration::from_secs(10)) {
                        Ok(entry) => Some(entry),
                        Err(RecvTimeoutError::Timeout) => None,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            };
            if self.reopen.swap(false, Ordering::AcqRel) {
                self.open_anew();
            }
            match next {
                Some(Entry::Line(line)) => {
                    let written = self.to().write_all(line.as_bytes());
                    self.report(&written);
                }
                Some(Entry::Flush(done)) => {
                    self.flush();
                    // An error means that nobody waits any more.
                    let _ = done.try_send(());
                }
                Some(Entry::Wake) | None => {}
            }
        }
    }

    fn to(&mut self) -> &mut dyn Write {
        match &mut self.sink {
            Sink::Stdout(out) => out,
            Sink::File(file, _) => file,
        }
    }

    fn flush(&mut self) {
        let flushed = self.to().flush();
        self.report(&flushed);
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > self.told {
            let lines = dropped - self.told;
            log::warn!("the access log could not keep up; dropped_lines={lines}");
            self.told = dropped;
        }
    }

    fn report(&mut self, outcome: &std::io::Result<()>) {
        if let Err(why) = outcome
            && !self.fails
        {
            log::error!("the access log cannot be written; reason={why}");
        }
        self.fails = outcome.is_err();
    }

    fn open_anew(&mut self) {
        self.flush();
        let Sink::File(_, path) = &self.sink else { return };
        match open(path) {
            Ok(file) => {
                self.sink = Sink::File(BufWriter::new(file), path.clone());
                log::info!("the access log was opened anew");
            }
            Err(why) => {
                log::error!(
                    "the access log cannot be opened anew and goes on where it was; reason={why}"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(path: &Path) -> AccessLog {
        let to = LogTarget::File(path.to_owned());
        AccessLog::start(&AccessLogSettings { to, ..AccessLogSettings::default() })
            .unwrap()
            .unwrap()
    }

    fn lines(path: &Path) -> usize {
        std::fs::read_to_string(path).unwrap().lines().count()
    }

    #[test]
    fn lines_go_to_the_file_and_to_the_new_one_after_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let log = to(&path);
        for _ in 0..1000 {
            log.write(&Record::default());
        }
        log.flush();
        assert_eq!((lines(&path), log.dropped()), (1000, 0));
        std::fs::rename(&path, &old).unwrap();
        log.write(&Record::default());
        log.flush();
        assert_eq!(lines(&old), 1001);
        log.reopen();
        log.write(&Record::default());
        log.flush();
        assert_eq!((lines(&old), lines(&path)), (1001, 1));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error_at_the_start() {
        let to = LogTarget::File("/proc/nowhere/access.log".into());
        let started = AccessLog::start(&AccessLogSettings { to, ..AccessLogSettings::default() });
        assert!(started.is_err());
        assert!(AccessLog::start(&AccessLogSettings::default()).unwrap().is_none());
    }

    #[test]
    fn nobody_waits_for_a_disk_that_does_not_take_it() {
        let (lines, waiting) = sync_channel(1);
        let shared = Shared {
            settings: AccessLogSettings::default(),
            lines,
            reopen: Arc::default(),
            dropped: Arc::default(),
        };
        let log = AccessLog(Arc::new(shared));
        for _ in 0..5 {
            log.write(&Record::default());
        }
        assert_eq!(log.dropped(), 4);
        drop(waiting);
    }
}
