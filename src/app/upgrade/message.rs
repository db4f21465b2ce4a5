//! What two processes tell each other: one line of JSON each. Both are this program, but perhaps of two versions:
//! what one does not understand it skips.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::net::UnixStream;

use crate::bbb::id::{InternalId, MeetingId, TenantId};
use crate::cluster::claim::Made;
use crate::cluster::server::ServerName;
use crate::state::sibling::{Birth, Note};

/// The longest line: a server's list of meetings.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How large meetings were: how many, their mean, their variance.
pub(crate) type SpreadLine = [f64; 3];

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// The listeners' addresses in the order of their handles, and the store of the old process, which may end
    /// with it.
    Hello { listeners: Vec<String>, store: Option<PathBuf>, store_ends: bool },
    /// Meetings, as hashes, and the servers that have or may have them.
    Knows(Vec<(String, String)>),
    /// What operators set.
    Mode { server: String, mode: String },
    /// What a server listed when it last answered.
    List { server: String, body: String },
    /// What was learned of sizes: by tenant and hash of the ID, with its age in milliseconds; by tenant; of all.
    Sizes {
        ids: Vec<(u32, String, SpreadLine, u64)>,
        tenants: Vec<(u32, SpreadLine)>,
        all: SpreadLine,
    },
    /// That was all there is to know.
    Known,
    /// Connections are accepted.
    Serving,
    /// They will not be.
    Failed(String),
    /// A meeting was made, or may have been.
    Made { tenant: u32, id: String, server: String, made: Option<MadeLine> },
    /// See [`Note::Ask`].
    Ask(u64),
    /// See [`Note::Answer`].
    Answer(u64),
    /// What another version says.
    Unknown,
}

/// What a server said about a meeting that it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeLine {
    internal: Option<String>,
    create_time_ms: Option<u64>,
}

impl Message {
    /// As states tell each other.
    pub(crate) fn into_note(self) -> Option<Note> {
        match self {
            Self::Made { tenant, id, server, made } => Some(Note::Made(Birth {
                tenant: TenantId(tenant),
                id: MeetingId::new(&id)?,
                server: ServerName::new(&server).ok()?,
                made: made.map(|made| Made {
                    internal: made.internal.and_then(|text| InternalId::new(&text)),
                    create_time_ms: made.create_time_ms,
                }),
            })),
            Self::Ask(number) => Some(Note::Ask(number)),
            Self::Answer(number) => Some(Note::Answer(number)),
            Self::Hello { .. }
            | Self::Knows(_)
            | Self::Mode { .. }
            | Self::List { .. }
            | Self::Sizes { .. }
            | Self::Known
            | Self::Serving
            | Self::Failed(_)
            | Self::Unknown => None,
        }
    }

    /// The line of a note.
    pub(crate) fn of(note: Note) -> Self {
        match note {
            Note::Made(Birth { tenant, id, server, made }) => Self::Made {
                tenant: tenant.0,
                id: id.as_str().to_owned(),
                server: server.to_string(),
                made: made.map(|made| MadeLine {
                    internal: made.internal.map(|internal| internal.as_str().to_owned()),
                    create_time_ms: made.create_time_ms,
                }),
            },
            Note::Ask(number) => Self::Ask(number),
            Note::Answer(number) => Self::Answer(number),
        }
    }
}

/// Reads lines.
pub(crate) struct Reader(BufReader<ReadHalf<UnixStream>>);

impl Reader {
    pub(crate) fn new(half: ReadHalf<UnixStream>) -> Self {
        Self(BufReader::new(half))
    }

    /// The next line; an error at the end, too.
    pub(crate) async fn next(&mut self) -> io::Result<Message> {
        let mut line = Vec::new();
        (&mut self.0).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&line).unwrap_or(Message::Unknown))
    }
}

/// Writes one line.
pub(crate) async fn write(to: &mut WriteHalf<UnixStream>, message: &Message) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_arrive_as_they_were() {
        let id = MeetingId::new("a \"meeting\"").unwrap();
        let server = ServerName::new("bbb1").unwrap();
        let made = Made { internal: InternalId::new("i-1"), create_time_ms: Some(7) };
        for made in [Some(made), Some(Made::default()), None] {
            let (id, server) = (id.clone(), server.clone());
            let birth = Birth { tenant: TenantId::DEFAULT, id, server, made };
            for note in [Note::Made(birth), Note::Ask(1), Note::Answer(2)] {
                let line = serde_json::to_string(&Message::of(note.clone())).unwrap();
                let message: Message = serde_json::from_str(&line).unwrap();
                assert_eq!(message.into_note(), Some(note));
            }
        }
    }
}
