//! What a process knows that servers will not tell the next one: meetings of servers that do not answer, what
//! operators set, the last lists of servers that are away. Everything else is learned again by the roll call.

use std::time::Duration;

use crate::app::App;
use crate::app::upgrade::message::{Message, SpreadLine};
use crate::bbb::id::{KeyHash, TenantId};
use crate::bbb::meetings;
use crate::cluster::health::Health;
use crate::cluster::placement::sizes::{SizeKey, SizeRecord, SizeRecords, Spread};
use crate::cluster::server::{Mode, ServerName};
use crate::state::{MeetingList, State};

/// Meetings in one line.
const CHUNK: usize = 1000;

/// All of it, to be told in this order.
pub(super) fn of(state: &State) -> Vec<Message> {
    let mut told = Vec::new();
    let mut away = Vec::new();
    {
        let cluster = state.cluster();
        for (server, member) in cluster.members() {
            let mode = member.leaving.unwrap_or(member.mode);
            let server_name = member.spec.name.to_string();
            if mode != Mode::Serve {
                let mode = mode.name().to_owned();
                told.push(Message::Mode { server: server_name.clone(), mode });
            }
            if member.pulse.health() != Health::Up {
                away.push((server, server_name.clone()));
            }
            let all: Vec<_> = cluster
                .meetings()
                .on(server)
                .map(|meeting| KeyHash::of(meeting.key.tenant, &meeting.key.id).to_string())
                .collect();
            told.extend(all.chunks(CHUNK).map(|chunk| {
                let pair = |hash: &String| (hash.clone(), server_name.clone());
                Message::Knows(chunk.iter().map(pair).collect())
            }));
        }
    }
    for (server, name) in away {
        let list = state.last_list(server);
        // A list that is no text was never merged.
        if let Some(body) = list.and_then(|list| String::from_utf8(list.body.to_vec()).ok()) {
            told.push(Message::List { server: name, body });
        }
    }
    let now = state.now();
    let sizes = state.cluster().sizes().export(now);
    told.extend(lines_of(&sizes));
    told.push(Message::Known);
    told
}

fn lines_of(sizes: &SizeRecords) -> Vec<Message> {
    let spread = |spread: &Spread| -> SpreadLine { [spread.count, spread.mean, spread.variance] };
    let id = |record: &SizeRecord| {
        let age_ms = u64::try_from(record.age.as_millis()).unwrap_or(u64::MAX);
        (record.key.tenant.0, hex::encode(record.key.hash), spread(&record.spread), age_ms)
    };
    let tenants: Vec<_> = sizes.tenants.iter().map(|(tenant, of)| (tenant.0, spread(of))).collect();
    let all = spread(&sizes.all);
    let mut lines = vec![Message::Sizes { ids: Vec::new(), tenants, all }];
    lines.extend(sizes.ids.chunks(CHUNK).map(|chunk| Message::Sizes {
        ids: chunk.iter().map(id).collect(),
        tenants: Vec::new(),
        all,
    }));
    lines
}

fn sizes_of(
    ids: Vec<(u32, String, SpreadLine, u64)>,
    tenants: Vec<(u32, SpreadLine)>,
    all: SpreadLine,
) -> SizeRecords {
    let spread = |[count, mean, variance]: SpreadLine| Spread { count, mean, variance };
    let id = |(tenant, text, of, age_ms): (u32, String, SpreadLine, u64)| {
        let mut hash = [0; 12];
        hex::decode_to_slice(text, &mut hash).ok()?;
        let key = SizeKey { tenant: TenantId(tenant), hash };
        Some(SizeRecord { key, spread: spread(of), age: Duration::from_millis(age_ms) })
    };
    SizeRecords {
        ids: ids.into_iter().filter_map(id).collect(),
        tenants: tenants.into_iter().map(|(tenant, of)| (TenantId(tenant), spread(of))).collect(),
        all: spread(all),
    }
}

impl App {
    /// Takes in one of these; servers that are not configured any more are skipped. Before any is asked.
    pub(super) fn inherit(&self, message: Message) {
        let state = self.state();
        let server_of = |name: &str| state.server_of(&ServerName::new(name).ok()?);
        match message {
            Message::Knows(meetings) => {
                let known: Vec<_> = meetings
                    .iter()
                    .filter_map(|(hash, server)| Some((KeyHash::parse(hash)?, server_of(server)?)))
                    .collect();
                state.cluster().recall(known);
            }
            Message::Mode { server, mode } => {
                if let (Some(server), Some(mode)) = (server_of(&server), Mode::of_name(&mode)) {
                    state.cluster().set_mode(server, mode);
                }
            }
            Message::List { server, body } => {
                if let (Some(server), Ok(seen)) =
                    (server_of(&server), meetings::read(body.as_bytes()))
                {
                    state.keep_list(
                        server,
                        MeetingList { body: body.into(), meetings: seen.into() },
                    );
                }
            }
            Message::Sizes { ids, tenants, all } => {
                let now = state.now();
                state.cluster().import_sizes(sizes_of(ids, tenants, all), now);
            }
            Message::Hello { .. }
            | Message::Known
            | Message::Serving
            | Message::Failed(_)
            | Message::Made { .. }
            | Message::Ask(_)
            | Message::Answer(_)
            | Message::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_arrive_as_they_were_learned() {
        let spread = Spread { count: 3.0, mean: 20.5, variance: 7.25 };
        let key = SizeKey { tenant: TenantId(0), hash: *b"twelve bytes" };
        let record = SizeRecord { key, spread, age: Duration::from_secs(60) };
        let sizes = SizeRecords {
            ids: vec![record; 2 * CHUNK],
            tenants: vec![(TenantId(0), spread)],
            all: spread,
        };
        let mut arrived = SizeRecords::default();
        for line in lines_of(&sizes) {
            let text = serde_json::to_string(&line).unwrap();
            let Message::Sizes { ids, tenants, all } = serde_json::from_str(&text).unwrap() else {
                panic!()
            };
            let part = sizes_of(ids, tenants, all);
            arrived.ids.extend(part.ids);
            arrived.tenants.extend(part.tenants);
            arrived.all = part.all;
        }
        assert_eq!(arrived, sizes);
    }
}
