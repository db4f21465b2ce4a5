//! The answers of all servers to one getRecordings, made into one.
//!
//! Every `<recording>` keeps the bytes its server wrote. The order in which answers arrive changes nothing.

use std::cmp::Reverse;

use crate::bbb::fault::Fault;
use crate::bbb::reply::{Format, Reply};
use crate::bbb::xml::{self, ReturnCode, Wanted};
use crate::recording::filter::Filter;
use crate::recording::id::{Asked, RecordId};

const WANTED: Wanted = Wanted {
    fields: &[],
    list: Some(("recordings", "recording")),
    item_fields: &["recordID", "state", "published", "startTime", "playback/format"],
};

/// What the servers that answered list, and which did not answer. `K` names a server; each is there once.
#[derive(Debug, Clone)]
pub struct Merged<'a, K> {
    /// Sorted by ID; of one ID the best copy first.
    copies: Vec<Copied<'a, K>>,
    missing: Vec<K>,
    answered: usize,
}

/// One recording as one server lists it.
#[derive(Debug, Clone)]
struct Copied<'a, K> {
    id: RecordId,
    worth: Worth,
    server: K,
    /// Where in its server's list it stands.
    index: usize,
    start_time: u64,
    has_playback: bool,
    bytes: &'a [u8],
}

/// Which of several copies is listed: one that can be played, then the one further on its way. Copies of
/// the same worth are told apart by the order of their servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    is_playable: bool,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Deleted,
    Unfinished,
    Unpublished,
    Published,
}

impl<'a, K: Copy + Ord> Merged<'a, K> {
    /// Reads the answer of each server that was asked; `None` is no answer. One that is FAILED or not BBB's
    /// counts as none: nothing can be concluded from it about what the server has.
    pub fn of(answers: impl IntoIterator<Item = (K, Option<&'a [u8]>)>) -> Self {
        let mut merged = Self { copies: Vec::new(), missing: Vec::new(), answered: 0 };
        for (server, body) in answers {
            match body.and_then(|body| copies(server, body)) {
                Some(copies) => {
                    merged.answered += 1;
                    merged.copies.extend(copies);
                }
                None => merged.missing.push(server),
            }
        }
        merged.missing.sort_unstable();
        merged.copies.sort_unstable_by(|a, b| {
            let order = |copy: &Copied<'a, K>| (Reverse(copy.worth), copy.server, copy.index);
            a.id.cmp(&b.id).then_with(|| order(a).cmp(&order(b)))
        });
        merged
    }

    /// The answer to the client.
    ///
    /// Recordings that cannot be played are left out unless the client said which states it wants (M22).
    /// With a server missing the answer is FAILED, because front ends forget what a good answer does not
    /// list (`clients.md` 6, 9), unless everything asked for is there: only full record IDs can tell.
    pub fn answer(&self, filter: &Filter) -> Reply {
        let mut listed: Vec<&Copied<'a, K>> =
            self.best().filter(|copy| filter.gives_states() || copy.has_playback).collect();
        if !self.is_whole() && !lists_all_asked(&listed, filter) {
            return Reply::fault(&Fault::server_unreachable(), Format::Xml);
        }
        // A stable sort: recordings of one start stay in the order of their IDs.
        listed.sort_by_key(|copy| Reverse(copy.start_time));
        let page = filter.page();
        let (offset, limit) = page.map_or((0, usize::MAX), |page| (page.offset, page.limit));
        let total = page.map(|_| listed.len());
        Reply::recordings(listed.iter().skip(offset).take(limit).map(|copy| copy.bytes), total)
    }

    /// Each recording with each server that has it, whether it is shown to the client or not.
    pub fn found(&self) -> impl Iterator<Item = (&RecordId, K)> {
        self.copies.iter().map(|copy| (&copy.id, copy.server))
    }

    /// The servers that gave no usable answer.
    pub fn missing(&self) -> &[K] {
        &self.missing
    }

    /// Whether every server answered. Never if none was asked: no recordings is not what that says.
    pub fn is_whole(&self) -> bool {
        self.answered > 0 && self.missing.is_empty()
    }

    /// The server with the best copy of exactly this recording.
    pub fn server_of(&self, id: &RecordId) -> Option<K> {
        self.starting_with(id).find(|copy| copy.id == *id).map(|copy| copy.server)
    }

    /// The servers with a recording that `asked` names, itself or by prefix.
    pub(crate) fn servers_of(&self, asked: &Asked) -> Vec<K> {
        let mut servers: Vec<K> = asked
            .readings()
            .flat_map(|prefix| self.starting_with(prefix).map(|copy| copy.server))
            .collect();
        servers.sort_unstable();
        servers.dedup();
        servers
    }

    fn starting_with<'p>(
        &'p self,
        prefix: &'p RecordId,
    ) -> impl Iterator<Item = &'p Copied<'a, K>> {
        let start = self.copies.partition_point(|copy| copy.id < *prefix);
        let rest = self.copies.get(start..).unwrap_or_default();
        rest.iter().take_while(|copy| copy.id.as_str().starts_with(prefix.as_str()))
    }

    fn best(&self) -> impl Iterator<Item = &Copied<'a, K>> {
        self.copies.chunk_by(|a, b| a.id == b.id).filter_map(<[_]>::first)
    }
}

/// Whether `listed`, sorted by ID, has all that `filter` asks for, as far as that can be known.
fn lists_all_asked<K>(listed: &[&Copied<'_, K>], filter: &Filter) -> bool {
    let is_listed = |id: &RecordId| listed.binary_search_by(|copy| copy.id.cmp(id)).is_ok();
    filter.ids().is_some_and(|ids| {
        ids.iter().all(|asked| asked.is_full() && asked.readings().any(is_listed))
    })
}

/// What `server` lists; `None` if `body` is no answer.
fn copies<K: Copy>(server: K, body: &[u8]) -> Option<Vec<Copied<'_, K>>> {
    let answer = xml::read(body, &WANTED).ok()?;
    if answer.returncode != ReturnCode::Success {
        return None;
    }
    let copies = answer.items.into_iter().enumerate().filter_map(|(index, item)| {
        let id = RecordId::new(item.fields.text("recordID")?.trim())?;
        let stage = Stage::of(&item.fields);
        let has_playback = item.fields.text("playback/format").is_some();
        let worth = Worth { is_playable: has_playback && stage >= Stage::Unpublished, stage };
        let start_time = item.fields.number("startTime").unwrap_or(0);
        let bytes = body.get(item.bytes)?;
        Some(Copied { id, worth, server, index, start_time, has_playback, bytes })
    });
    Some(copies.collect())
}

impl Stage {
    fn of(fields: &xml::Fields) -> Self {
        match fields.text("state").map(str::trim) {
            Some("published") => Self::Published,
            Some("unpublished") => Self::Unpublished,
            Some("processing" | "processed") => Self::Unfinished,
            Some("deleted") => Self::Deleted,
            // Servers older than states only tell whether it is published.
            _ if fields.is_true("published") => Self::Published,
            _ => Self::Unpublished,
        }
    }
}

#[cfg(test)]
mod tests;
