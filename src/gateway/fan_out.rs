//! Calls that all servers answer together: asked in parallel, each with a deadline; one that does not answer
//! delays nobody beyond it (design rule 6).

use bytes::Bytes;
use futures::StreamExt;

use crate::bbb::call::Call;
use crate::bbb::id::TenantId;
use crate::bbb::meetings;
use crate::bbb::reply::Reply;
use crate::cluster::health::Health;
use crate::cluster::server::{Mode, ServerId};
use crate::gateway::Gateway;
use crate::route::FanOut;
use crate::route::merge::{self, ServerList};
use crate::state::MeetingList;

/// How many servers one call asks at the same time.
const ASKED_AT_ONCE_MAX: usize = 256;

impl Gateway {
    pub(super) async fn fan_out(&self, what: FanOut, call: &Call) -> Reply {
        match what {
            FanOut::Meetings => self.meetings().await,
            FanOut::Recordings => self.recordings(call).await,
            FanOut::RecordingChange => self.change_recordings(call).await,
        }
    }

    /// The servers in use and whether there is any use in asking them.
    fn servers(&self) -> Vec<(ServerId, Health)> {
        let cluster = self.state.cluster();
        let used = cluster.members().filter(|(_, member)| member.mode != Mode::Disable);
        used.map(|(id, member)| (id, member.pulse.health())).collect()
    }

    /// Asks every server that is not down, in the servers' order.
    pub(super) async fn ask_all(&self, name: &str, query: &str) -> Vec<(ServerId, Option<Bytes>)> {
        let asking = self.servers().into_iter().map(|(server, health)| async move {
            if health == Health::Down {
                return (server, None);
            }
            let answer = self.client.call(server, name, query, self.timeouts.fan_out).await;
            (server, answer.ok())
        });
        futures::stream::iter(asking).buffered(ASKED_AT_ONCE_MAX).collect().await
    }

    async fn meetings(&self) -> Reply {
        let answers = self.ask_all("getMeetings", "").await;
        let lists: Vec<(ServerId, MeetingList)> = answers
            .into_iter()
            .filter_map(|(server, body)| {
                let fresh = body.and_then(|body| {
                    let meetings = meetings::read(&body).ok()?.into();
                    Some(MeetingList { body, meetings })
                });
                if let Some(list) = &fresh {
                    self.state.keep_list(server, list.clone());
                }
                Some((server, fresh.or_else(|| self.state.last_list(server))?))
            })
            .collect();
        let views: Vec<ServerList<'_>> = lists
            .iter()
            .map(|(server, list)| ServerList {
                server: *server,
                body: &list.body,
                meetings: &list.meetings,
            })
            .collect();
        merge::meetings(&views, |id| {
            self.state.cluster().find(TenantId::DEFAULT, id).map(|meeting| meeting.server)
        })
    }
}
