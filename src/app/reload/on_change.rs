//! Reloads when a configuration file has changed, if `process.reload_on_change` is set. Looks instead of being
//! told: that works on every file system, and a second does not matter.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::app::App;
use crate::app::reload::Reloading;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// What tells one version of a file from another; `None` while there is no file.
type Stamp = Option<(SystemTime, u64, u64)>;

/// A file as it was before it was read.
#[derive(Debug, Clone)]
pub struct Watched {
    path: PathBuf,
    stamp: Stamp,
}

impl Watched {
    /// Looks at it now.
    pub fn now(path: PathBuf) -> Self {
        let mut watched = Self { path, stamp: None };
        watched.stamp = watched.look();
        watched
    }

    fn look(&self) -> Stamp {
        let file = std::fs::metadata(&self.path).ok()?;
        Some((file.modified().ok()?, file.len(), file.ino()))
    }
}

impl Reloading {
    /// Looks for ever. A change is taken once it has lasted from one look to the next: somebody may still be
    /// writing.
    pub(crate) async fn on_change(self, app: App) {
        let Some(Watched { path, stamp: mut taken }) = app.reloads.file.lock().clone() else {
            return;
        };
        let mut last = taken;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let path = path.clone();
            let look = tokio::task::spawn_blocking(|| Watched::now(path).stamp);
            let Ok(now) = look.await else { return };
            if now != taken && now == last {
                taken = now;
                if app.settings().process.reload_on_change {
                    log::info!("reading the configuration anew, because a file has changed");
                    self.ask();
                }
            }
            last = now;
        }
    }
}
