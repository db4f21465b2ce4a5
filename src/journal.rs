//! What a server was told is safe with us, until it is delivered: one file per callback in `state_dir`, or
//! nowhere. Knows nothing of what it keeps, which is sealed.
//!
//! Of two processes on one folder, as during an upgrade, only one takes over what lies there: the one that
//! holds the lock, which ends with its process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::callback::envelope::Id;

const FOLDER: &str = "callbacks";
const LOCK: &str = "lock";
/// What is being written ends in this.
const UNFINISHED: &str = "new";
/// More than any file that was written here.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Somewhere to keep callbacks.
pub trait Journal: Send + Sync {
    /// Makes it ready.
    fn prepare(&self) -> io::Result<()>;
    /// Whether what was written is still there after a restart.
    fn is_durable(&self) -> bool;
    /// Keeps `bytes`; safe when it returns. Blocks.
    fn write(&self, id: Id, bytes: &[u8]) -> io::Result<()>;
    /// Forgets them. Blocks.
    fn remove(&self, id: Id);
    /// What lies here that is not `known`; nothing while another process holds the lock. Blocks.
    fn left_over(&self, known: &dyn Fn(Id) -> bool) -> Vec<(Id, Vec<u8>)>;
    /// Leaves what lies here to the next process.
    fn release(&self);
}

/// Keeps nothing.
pub struct Nowhere;

impl Journal for Nowhere {
    fn prepare(&self) -> io::Result<()> {
        Ok(())
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn write(&self, _id: Id, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove(&self, _id: Id) {}

    fn left_over(&self, _known: &dyn Fn(Id) -> bool) -> Vec<(Id, Vec<u8>)> {
        Vec::new()
    }

    fn release(&self) {}
}

/// A folder.
pub struct Folder {
    path: PathBuf,
    lock: Mutex<Option<File>>,
}

impl Folder {
    /// The folder for callbacks in `state_dir`.
    pub fn of(state_dir: &Path) -> Self {
        Self { path: state_dir.join(FOLDER), lock: Mutex::default() }
    }

    fn file(&self, id: Id) -> PathBuf {
        self.path.join(id.to_string())
    }

    fn has_lock(&self) -> bool {
        let mut lock = self.lock.lock();
        if lock.is_some() {
            return true;
        }
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let Ok(file) = options.open(self.path.join(LOCK)) else { return false };
        match file.try_lock() {
            Ok(()) => *lock = Some(file),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
        lock.is_some()
    }
}

impl Journal for Folder {
    fn prepare(&self) -> io::Result<()> {
        // What lies here is about people.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        OpenOptions::new().write(true).create(true).truncate(false).open(self.path.join(LOCK))?;
        Ok(())
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn write(&self, id: Id, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.file(id).with_extension(UNFINISHED);
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, self.file(id))?;
        // The name is safe only with its folder.
        File::open(&self.path)?.sync_all()
    }

    fn remove(&self, id: Id) {
        if let Err(why) = std::fs::remove_file(self.file(id))
            && why.kind() != io::ErrorKind::NotFound
        {
            log::warn!("a delivered callback may be sent again: its file stays; reason={why}");
        }
    }

    fn left_over(&self, known: &dyn Fn(Id) -> bool) -> Vec<(Id, Vec<u8>)> {
        if !self.has_lock() {
            return Vec::new();
        }
        let Ok(entries) = std::fs::read_dir(&self.path) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let ids = names.filter_map(|name| Id::parse(&name)).filter(|id| !known(*id));
        ids.filter_map(|id| {
            let size = self.file(id).metadata().ok()?.len();
            let bytes =
                if size > FILE_BYTES_MAX { None } else { std::fs::read(self.file(id)).ok() };
            Some((id, bytes?))
        })
        .collect()
    }

    fn release(&self) {
        *self.lock.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> Id {
        Id::of(&[&[n]])
    }

    fn open(folder: &Path) -> Folder {
        let journal = Folder::of(folder);
        journal.prepare().unwrap();
        journal
    }

    #[test]
    fn what_is_written_is_there_for_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path());
        first.write(id(1), b"one").unwrap();
        first.write(id(2), b"two").unwrap();
        first.remove(id(1));
        assert_eq!(first.left_over(&|_| false), [(id(2), b"two".to_vec())]);
        let second = open(folder.path());
        assert!(second.left_over(&|_| false).is_empty(), "the first still has them");
        drop(first);
        assert_eq!(second.left_over(&|_| false).len(), 1);
        assert!(second.left_over(&|known| known == id(2)).is_empty());
    }

    #[test]
    fn half_a_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path());
        let half = journal.file(id(1)).with_extension(UNFINISHED);
        std::fs::write(half, b"ha").unwrap();
        std::fs::write(journal.path.join("README"), b"x").unwrap();
        assert!(journal.left_over(&|_| false).is_empty());
    }

    #[test]
    fn others_cannot_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path());
        journal.write(id(1), b"one").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&journal.path), mode(&journal.file(id(1)))), (0o700, 0o600));
    }

    #[test]
    fn nowhere_keeps_nothing_and_says_so() {
        assert!(Nowhere.write(id(1), b"one").is_err());
        assert!(!Nowhere.is_durable());
    }
}
