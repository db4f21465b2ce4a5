//! Limits of the operating system that are too low for a proxy by default.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Allows as many open files as the operating system lets us: each client and each call to a server takes
/// one, and the usual 1024 are a few hundred people. Without it, Pingora stops accepting for a second whenever
/// they run out.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let shown = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |n| n.to_string());
    if current == maximum {
        log::debug!("limit of open files; limit={}", shown(current));
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => {
            log::debug!(
                "limit of open files raised; from={} to={}",
                shown(current),
                shown(maximum)
            );
        }
        Err(why) => {
            log::warn!("limit of open files stays as it is; limit={} reason={why}", shown(current))
        }
    }
}
