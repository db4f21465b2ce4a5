//! Where accounts and ordered certificates are kept: a folder of `state_dir` that nobody else can read.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use sha2::{Digest, Sha256};

use crate::config::settings::edge::{AcmeSettings, CertificateFiles};

/// An account is some 500 bytes.
const ACCOUNT_BYTES_MAX: u64 = 64 * 1024;

/// The file that a certificate is kept in, with its key, so that both change at once.
pub fn files(settings: &AcmeSettings, state_dir: &Path) -> CertificateFiles {
    let what = format!("{}\n{}", settings.directory, settings.domains.join("\n"));
    let first = settings.domains.first().map(String::as_str).unwrap_or_default();
    let path = folder(state_dir).join(format!("{first}-{}.pem", print(&what)));
    CertificateFiles { cert: path.clone(), key: path, place: String::new() }
}

/// The folder for all of it.
pub fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("acme")
}

fn print(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hex::encode(hash.get(..4).unwrap_or_default())
}

/// Takes the lock that only one process has; `None` if another one has it. It is let go when dropped.
pub(super) fn lock(files: &CertificateFiles) -> anyhow::Result<Option<File>> {
    let folder = files.cert.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(why)) => {
            Err(why).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Writes a certificate and its key, all of it or nothing.
pub(super) fn keep(files: &CertificateFiles, pem: &str) -> anyhow::Result<()> {
    write(&files.cert, pem)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let writing = || {
        // One that was left half written may be someone else's to read.
        let _ = std::fs::remove_file(&new);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    writing().with_context(|| format!("cannot write {}", path.display()))
}

fn account_path(files: &CertificateFiles, settings: &AcmeSettings) -> PathBuf {
    let folder = files.cert.parent().unwrap_or(Path::new("."));
    folder.join(format!("account-{}.json", print(&settings.directory)))
}

/// The account at this server, if there is one.
pub(super) fn account(
    files: &CertificateFiles,
    settings: &AcmeSettings,
) -> anyhow::Result<Option<String>> {
    use std::io::Read;
    let path = account_path(files, settings);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow!(error).context(format!("cannot read {}", path.display()))),
    };
    let mut text = String::new();
    let read = file.take(ACCOUNT_BYTES_MAX).read_to_string(&mut text);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(text))
}

/// Keeps the account.
pub(super) fn keep_account(
    files: &CertificateFiles,
    settings: &AcmeSettings,
    account: &str,
) -> anyhow::Result<()> {
    write(&account_path(files, settings), account)
}

/// Without an account, the next order makes one.
pub(super) fn forget_account(files: &CertificateFiles, settings: &AcmeSettings) {
    // If it stays, it is tried again.
    let _ = std::fs::remove_file(account_path(files, settings));
}
