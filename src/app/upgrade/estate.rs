//! What a process knows that servers will not tell the next one: meetings of servers that do not answer, what
//! operators set, the last lists of servers that are away. Everything else is learned again by the roll call.

use crate::app::App;
use crate::app::upgrade::message::Message;
use crate::bbb::id::KeyHash;
use crate::bbb::meetings;
use crate::cluster::health::Health;
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
    told.push(Message::Known);
    told
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
