//! Webhooks: one registry for front ends, over the registries that each server's bbb-webhooks keeps
//! (`bbb-api.md` 2.11, 6.4). Pure; knows no clock, socket or file.
//!
//! A front end's hook is registered at every server under a URL of tinyscale in which all of it is sealed, so
//! the servers' own lists are all that is needed to know the hooks again after a restart.

pub mod event;
pub mod registry;
pub mod sign;

use sha2::Digest;

use crate::bbb::call::Call;
use crate::bbb::id::TenantId;
use crate::bbb::query;
use crate::callback::Kind;
use crate::callback::seal::Destination;
use crate::callback::target;

/// Of a hook as a whole: what does not fit a callback URL cannot be registered.
const WORDS_BYTES_MAX: usize = 1000;

/// Names a hook: a number, because clients read one (`clients.md` S30), small enough for those that keep
/// numbers as floats. The same URL always has the same, over restarts and in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HookId(u64);

impl HookId {
    fn of(tenant: TenantId, url: &str) -> Self {
        let hash = sha2::Sha256::new()
            .chain_update(b"tinyscale hook\0")
            .chain_update(tenant.0.to_be_bytes())
            .chain_update(url)
            .finalize();
        let mut low = [0; 8];
        low.copy_from_slice(&hash[..8]);
        // 15 digits, the first never 0.
        Self(100_000_000_000_000 + u64::from_be_bytes(low) % 900_000_000_000_000)
    }

    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().map(Self)
    }
}

impl std::fmt::Display for HookId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A hook as its front end asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its name.
    pub id: HookId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where events go.
    pub url: String,
    /// Only of this meeting.
    pub meeting: Option<String>,
    /// Only these, in lower case.
    pub events: Option<String>,
    /// As the server sees them.
    pub raw: bool,
}

/// Why a hook cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHook {
    /// No URL was given.
    Missing,
    /// It is none, or too long.
    Unusable,
}

impl Hook {
    /// The hook that a hooks/create asks for.
    pub fn asked(tenant: TenantId, call: &Call) -> Result<Self, NoHook> {
        let url = call.param("callbackURL").ok_or(NoHook::Missing)?.into_owned();
        let plain = |name| {
            let value = call.param(name)?;
            Some(value.chars().filter(|c| !c.is_control()).collect::<String>())
        };
        let (meeting, events) = (plain("meetingID"), plain("eventID"));
        let words = meeting.iter().chain(&events).map(String::len).sum::<usize>();
        if !target::is_callable(&url) || words > WORDS_BYTES_MAX {
            return Err(NoHook::Unusable);
        }
        Ok(Self {
            id: HookId::of(tenant, &url),
            tenant,
            url,
            meeting,
            events: events.map(|events| events.to_lowercase()),
            raw: call.param("getRaw").is_some_and(|raw| raw.eq_ignore_ascii_case("true")),
        })
    }

    /// What is sealed into the URL that `server` gets: all of the hook, and which server it is, so that no
    /// other server's signature is taken there.
    pub fn at(&self, server: &str) -> Destination {
        let word = |word: &Option<String>| word.clone().unwrap_or_default();
        let about =
            [server, &word(&self.meeting), &word(&self.events), &self.raw.to_string()].join("\n");
        Destination { kind: Kind::Hook, url: self.url.clone(), about }
    }

    /// Reads what [`Self::at`] made: the hook and the server's name.
    pub fn read(tenant: TenantId, to: &Destination) -> Option<(Self, String)> {
        let mut words = to.about.split('\n');
        let (server, meeting, events, raw) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        let word = |word: &str| Some(word.to_owned()).filter(|word| !word.is_empty());
        let hook = Self {
            id: HookId::of(tenant, &to.url),
            tenant,
            url: to.url.clone(),
            meeting: word(meeting),
            events: word(events),
            raw: raw == "true",
        };
        (to.kind == Kind::Hook && words.next().is_none()).then(|| (hook, server.to_owned()))
    }

    /// The query of hooks/create at a server, with the URL it is to call.
    pub fn create_query(&self, callback_url: &str) -> String {
        let mut query = format!("callbackURL={}", query::encode(callback_url));
        for (name, value) in [("meetingID", &self.meeting), ("eventID", &self.events)] {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", query::encode(value)));
            }
        }
        if self.raw {
            query.push_str("&getRaw=true");
        }
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::call::{CallName, SignedCall};
    use crate::bbb::checksum::{Algorithm, sign};
    use crate::bbb::secret::Secret;

    pub(crate) fn asked(query: &str) -> Result<Hook, NoHook> {
        let secret = Secret::new("s").unwrap();
        let name = CallName::of_path("/bigbluebutton/api/hooks/create").unwrap();
        let wire = sign("hooks/create", query, Algorithm::Sha1, &secret);
        let call = SignedCall { name: &name, query: &wire, form: None }.verify(&[secret]).unwrap();
        Hook::asked(TenantId::DEFAULT, &call)
    }

    const URL: &str = "callbackURL=https%3A%2F%2Fmy.test%2Fh%3Fa%3D1";

    #[test]
    fn a_hook_is_known_again_by_what_a_server_lists() {
        let full = format!("{URL}&meetingID=r%0Aoom&eventID=User-Joined,x&getRaw=true");
        for query in [URL, &format!("{URL}&eventID="), &full] {
            let hook = asked(query).unwrap();
            let (read, server) = Hook::read(TenantId::DEFAULT, &hook.at("bbb1")).unwrap();
            assert_eq!((read, server.as_str()), (hook, "bbb1"));
        }
        let hook = asked(&full).unwrap();
        assert_eq!(
            hook.create_query("https://t/c?x"),
            "callbackURL=https%3A%2F%2Ft%2Fc%3Fx&meetingID=room&eventID=user-joined%2Cx&getRaw=true"
        );
    }

    #[test]
    fn ids_are_numbers_of_the_url() {
        let id = asked(URL).unwrap().id;
        assert_eq!(id, asked(&format!("{URL}&meetingID=m")).unwrap().id);
        assert_ne!(id, asked("callbackURL=https%3A%2F%2Fmy.test%2F").unwrap().id);
        assert_ne!(id, HookId::of(TenantId(7), "https://my.test/h?a=1"));
        assert_eq!(id.to_string().len(), 15);
        assert_eq!(HookId::parse(&id.to_string()), Some(id));
        assert!(HookId::parse("8a5f-uuid").is_none());
    }

    #[test]
    fn urls_that_cannot_be_called_make_no_hook() {
        assert_eq!(asked("meetingID=m").err(), Some(NoHook::Missing));
        assert_eq!(asked("callbackURL=").err(), Some(NoHook::Missing));
        assert_eq!(asked("callbackURL=ftp%3A%2F%2Fa.test").err(), Some(NoHook::Unusable));
        let long = format!("{URL}&eventID={}", "x".repeat(WORDS_BYTES_MAX + 1));
        assert_eq!(asked(&long).err(), Some(NoHook::Unusable));
    }
}
