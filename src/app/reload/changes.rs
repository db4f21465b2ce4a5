//! What differs between two configurations, in an operator's words, and what of it has to wait for a new process.

use std::fmt::Debug;

use crate::bbb::secret::Secret;
use crate::cluster::health::Health;
use crate::cluster::roster::Farewell;
use crate::config::settings::{Listen, ServerSettings, Settings};

/// `wanted` with everything that only a new process can change left as it is `before`, and sentences that say so.
pub(super) fn keep_what_must_stay(before: &Settings, wanted: Settings) -> (Settings, Vec<String>) {
    let mut later = Vec::new();
    let mut keep = |key: &str, same: bool| {
        if !same {
            later.push(format!(
                "`{key}` has changed: takes effect with a new process (`tinyscale upgrade`, or a restart)"
            ));
        }
    };
    keep("listen", placeless(&before.listen) == placeless(&wanted.listen));
    keep("public_url", before.public_url == wanted.public_url);
    keep("state_dir", before.state_dir == wanted.state_dir);
    keep("threads", before.threads == wanted.threads);
    let admin = match (&before.admin, &wanted.admin) {
        (Some(before), Some(wanted)) => before.is_same(wanted),
        (before, wanted) => before.is_none() && wanted.is_none(),
    };
    keep("admin", admin);
    let settings = Settings {
        listen: before.listen.clone(),
        public_url: before.public_url.clone(),
        state_dir: before.state_dir.clone(),
        threads: before.threads,
        admin: before.admin.clone(),
        ..wanted
    };
    (settings, later)
}

/// Without where each was written, which changes nothing.
fn placeless(listen: &[Listen]) -> Vec<Listen> {
    let mut listen = listen.to_vec();
    for entry in &mut listen {
        entry.place.clear();
        for files in entry.tls.iter_mut().flat_map(|tls| &mut tls.certificates) {
            files.place.clear();
        }
    }
    listen
}

/// What is different, one sentence each; never a secret.
pub(super) fn in_words(before: &Settings, after: &Settings) -> Vec<String> {
    let mut words = Vec::new();
    secrets(&before.secrets, &after.secrets, &mut words);
    for server in &after.servers {
        let name = &server.spec.name;
        let by_name = before.servers.iter().find(|old| old.spec.name == *name);
        let by_url = || before.servers.iter().find(|old| old.spec.url == server.spec.url);
        match (by_name, by_url()) {
            (Some(old), _) => {
                let what = differences(old, server);
                if !what.is_empty() {
                    words.push(format!("server {name}: other {}", what.join(", ")));
                }
            }
            (None, Some(old)) => words.push(format!("server {} is called {name}", old.spec.name)),
            (None, None) => words.push(format!(
                "server {name} is new: it takes meetings after its first good answer"
            )),
        }
    }
    for old in &before.servers {
        let stays =
            |new: &ServerSettings| new.spec.name == old.spec.name || new.spec.url == old.spec.url;
        if !after.servers.iter().any(stays) {
            words.push(format!("server {} is no longer configured", old.spec.name));
        }
    }
    let mut group = |key: &str, same: bool| {
        if !same {
            words.push(format!("other `{key}`"));
        }
    };
    group("trusted_proxies", before.trusted_proxies == after.trusted_proxies);
    group("security_headers", before.security_headers == after.security_headers);
    group("balance", before.balance == after.balance);
    group("probe", before.probe == after.probe);
    group("timeouts", before.timeouts == after.timeouts);
    group("limits", before.limits == after.limits);
    group("join", before.heal_create_time == after.heal_create_time);
    group("callbacks", before.callbacks == after.callbacks);
    group("hooks", before.hooks == after.hooks);
    group("grace_period", before.grace_period == after.grace_period);
    words
}

fn secrets(before: &[Secret], after: &[Secret], words: &mut Vec<String>) {
    let missing = |from: &[Secret], of: &[Secret]| {
        of.iter().filter(|secret| !from.iter().any(|other| other.is_same(secret))).count()
    };
    let (new, gone) = (missing(before, after), missing(after, before));
    if new + gone > 0 {
        words.push(format!("secrets of front ends: {new} new, {gone} gone"));
    }
}

/// What a server is described by otherwise.
fn differences(before: &ServerSettings, after: &ServerSettings) -> Vec<&'static str> {
    fn differs<T: PartialEq + Debug>(
        name: &'static str,
        one: &T,
        other: &T,
    ) -> Option<&'static str> {
        (one != other).then_some(name)
    }
    let (old, new) = (&before.spec, &after.spec);
    let secret = (!old.secret.is_same(&new.secret)).then_some("secret");
    [
        differs("name", &old.name, &new.name),
        differs("url", &old.url, &new.url),
        secret,
        differs("checksum", &old.algorithm, &new.algorithm),
        differs("weight", &old.weight, &new.weight),
        differs("capacity", &old.capacity, &new.capacity),
        differs("tags", &old.tags, &new.tags),
        differs("tls", &before.tls, &after.tls),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether a server is described as before.
pub(super) fn is_same(before: &ServerSettings, after: &ServerSettings) -> bool {
    differences(before, after).is_empty()
}

/// What somebody who removed a server should know.
pub(super) fn farewell(server: &ServerSettings, farewell: Farewell) -> Option<String> {
    let Farewell { meetings, people, health } = farewell;
    let name = &server.spec.name;
    if meetings == 0 {
        return None;
    }
    Some(if health == Health::Down {
        format!(
            "{name} is no longer configured and does not answer: its {meetings} meetings are given up, the \
             next create of each makes it anew elsewhere"
        )
    } else {
        format!(
            "{name} is no longer configured and still has {meetings} meetings with {people} people: it stays \
             for them, takes no new ones, and goes when they have ended"
        )
    })
}
