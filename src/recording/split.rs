//! publishRecordings, deleteRecordings, updateRecordings: one call split by the servers that have the
//! recordings, and their answers made into one.
//!
//! Never tells a client that all was done when part of it may not be: what cannot be reached for certain is
//! refused before anything is changed. The calls may be repeated, so a client may simply try again.

use crate::bbb::call::{Call, CallName};
use crate::bbb::fault::Fault;
use crate::bbb::query;
use crate::bbb::reply::{Format, Reply};
use crate::bbb::xml::{self, ReturnCode, Wanted};
use crate::recording::id::{Asked, Ids, RecordId, locate_query};
use crate::recording::merge::Merged;
use crate::recording::owners::Owners;

/// A call about recordings that is about to be split.
///
/// An ID that is not full may be a prefix (updateRecordings takes it for one), so it goes to every server
/// with a recording that it starts; the servers decide what it means.
#[derive(Debug, Clone)]
pub struct Split<K> {
    query: String,
    ids: Ids,
    /// For each ID the servers to send it to; `None` if that is not known for certain.
    servers: Vec<Option<Vec<K>>>,
    element: &'static str,
    asked_for: bool,
}

/// What one server is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<K> {
    /// The server.
    pub server: K,
    /// Its part of the IDs, as BBB reads them.
    pub ids: Vec<RecordId>,
    /// The client's parameters with the list of IDs reduced to that part.
    pub query: String,
}

/// What one server's answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was done; the value is what the answer says of it.
    Done(bool),
    /// The server has none of its part: what is remembered of it is wrong and to be forgotten. If all
    /// servers of a remembered split say so, the recordings may be elsewhere: split anew with no memory.
    NotFound,
    /// Anything else, also no answer: nothing is known.
    Failed,
}

impl<K: Copy + Ord> Split<K> {
    /// Reads `call` and looks its IDs up in what is remembered.
    pub fn of(call: &Call, owners: &Owners<K>) -> Result<Self, Fault> {
        let query = query::join(call.query(), call.form());
        let ids = Ids::of(&query).ok_or_else(Fault::record_id_missing);
        let (element, asked_for) = if *call.name() == CallName::PublishRecordings {
            let publish = call.param("publish");
            ("published", publish.map(|value| value.eq_ignore_ascii_case("true")))
        } else if *call.name() == CallName::DeleteRecordings {
            ("deleted", Some(true))
        } else if *call.name() == CallName::UpdateRecordings {
            ("updated", Some(true))
        } else {
            return Err(Fault::unsupported());
        };
        let ids = ids?;
        let asked_for = asked_for.ok_or_else(Fault::publish_missing)?;
        let servers = ids.iter().map(|asked| remembered(asked, owners)).collect();
        Ok(Self { query, ids, servers, element, asked_for })
    }

    /// The IDs whose servers are not known, as BBB reads them.
    pub fn unresolved(&self) -> impl Iterator<Item = &RecordId> {
        self.unresolved_entries().filter_map(|asked| asked.readings().next())
    }

    /// The getRecordings query to ask all servers with before anything is sent; `None` if nothing is
    /// unresolved. What they answer goes to [`Self::locate`].
    pub fn locate_query(&self) -> Option<String> {
        let mut ids = self.unresolved_entries().flat_map(Asked::readings).peekable();
        ids.peek().is_some().then(|| locate_query(ids))
    }

    fn unresolved_entries(&self) -> impl Iterator<Item = &Asked> {
        let entries = self.ids.iter().zip(&self.servers);
        entries.filter(|(_, servers)| servers.is_none()).map(|(asked, _)| asked)
    }

    /// Takes in what the servers answered. An ID found nowhere is known to be nowhere only if no server is
    /// missing; a prefix is known only then as well.
    pub fn locate(&mut self, located: &Merged<'_, K>) {
        for (asked, servers) in self.ids.iter().zip(&mut self.servers) {
            if servers.is_none() {
                let found = located.servers_of(asked);
                let is_certain = located.is_whole() || (asked.is_full() && !found.is_empty());
                *servers = is_certain.then_some(found);
            }
        }
    }

    /// What each server is to be sent, in the order of the servers. FAILED before anything is changed if no
    /// server has any of the recordings, or if one that cannot be asked may have some.
    pub fn parts(&self) -> Result<Vec<Part<K>>, Fault> {
        let known: Option<Vec<&Vec<K>>> = self.servers.iter().map(Option::as_ref).collect();
        let known = known.ok_or_else(Fault::server_unreachable)?;
        let mut servers: Vec<K> = known.iter().copied().flatten().copied().collect();
        servers.sort_unstable();
        servers.dedup();
        if servers.is_empty() {
            return Err(Fault::recordings_not_found());
        }
        let part = |server| {
            let entries = self.ids.iter().zip(&known);
            let mine: Vec<&Asked> =
                entries.filter(|(_, has)| has.contains(&server)).map(|(asked, _)| asked).collect();
            let ids = mine.iter().filter_map(|asked| asked.readings().next().cloned()).collect();
            Part { server, ids, query: self.ids.replace_in(&self.query, &mine) }
        };
        Ok(servers.into_iter().map(part).collect())
    }

    /// What a server's answer to its part says; `None` is no answer.
    pub fn verdict(&self, answer: Option<&[u8]>) -> Verdict {
        const WANTED: Wanted =
            Wanted { fields: &["published", "deleted", "updated"], list: None, item_fields: &[] };
        let Some(answer) = answer.and_then(|body| xml::read(body, &WANTED).ok()) else {
            return Verdict::Failed;
        };
        if answer.returncode == ReturnCode::Success {
            let told = answer.fields.text(self.element).is_some();
            Verdict::Done(if told { answer.fields.is_true(self.element) } else { self.asked_for })
        } else if answer.failed_with("notFound") {
            Verdict::NotFound
        } else {
            Verdict::Failed
        }
    }

    /// The answer to the client. Not done at one server is not done; else one existing recording is enough
    /// (`bbb-api.md` 2.10). The value is the one asked for only if every server says so.
    pub fn answer(&self, verdicts: impl IntoIterator<Item = Verdict>) -> Reply {
        let mut value = None;
        for verdict in verdicts {
            match verdict {
                Verdict::Done(told) if told == self.asked_for => value = value.or(Some(told)),
                Verdict::Done(told) => value = Some(told),
                Verdict::NotFound => {}
                Verdict::Failed => {
                    return Reply::fault(&Fault::server_unreachable(), Format::Xml);
                }
            }
        }
        value.map_or_else(
            || Reply::fault(&Fault::recordings_not_found(), Format::Xml),
            |value| Reply::recordings_changed(self.element, value),
        )
    }
}

/// The servers remembered for an entry; only full IDs are remembered for all that they may mean.
fn remembered<K: Copy + Eq>(asked: &Asked, owners: &Owners<K>) -> Option<Vec<K>> {
    let mut readings = asked.readings().filter(|_| asked.is_full());
    readings.find_map(|id| Some(owners.of(id).to_vec()).filter(|servers| !servers.is_empty()))
}

#[cfg(test)]
mod tests;
