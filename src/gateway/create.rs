//! Where a create goes: to the meeting's server, or to a new one that is claimed for it.

use std::time::Duration;

use crate::bbb::call::Call;
use crate::bbb::fault::Fault;
use crate::bbb::id::{MeetingId, TenantId};
use crate::cluster::meetings::Stage;
use crate::cluster::server::{Mode, ServerId};
use crate::cluster::wish::Wish;
use crate::gateway::Gateway;
use crate::gateway::create_time;
use crate::gateway::exchange::{Create, Errand};
use crate::gateway::retry::Verdict;
use crate::state::claims::Turn;

/// How long a create waits for a meeting that is ending to be gone; real servers take up to a few seconds.
const ENDING_PATIENCE: Duration = Duration::from_secs(6);
/// How often its server is asked meanwhile.
const ENDING_INTERVAL: Duration = Duration::from_millis(150);

/// Whether a meeting has left its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It has.
    Yes,
    /// It is alive, for all that can be known.
    No,
    /// It was ended, and its server does not say what has become of it. A create sent there now would be
    /// answered, whenever the server wakes, with the meeting that is dying.
    Unknown,
}

impl Gateway {
    /// A create on its way, or what to tell the client.
    pub(super) async fn create(
        &self,
        tenant: TenantId,
        call: Call,
        id: MeetingId,
        wish: Wish,
        has_body: bool,
    ) -> Result<Errand, Fault> {
        let running_since = create_time::of_running(&self.state.cluster(), tenant, &id);
        let call = self.with_own_urls(call, &id);
        let turn = loop {
            let turn = self.state.claim(tenant, &id, &wish, self.timeouts.create).await;
            let Turn::Repeat(repeat) = turn else { break turn };
            let server = repeat.server();
            if !self.is_leaving(tenant, &id, server) {
                break Turn::Repeat(repeat);
            }
            // Nothing is sent before the answer, so the meeting may be found absent.
            drop(repeat);
            match self.has_left(tenant, &id, server).await {
                Left::Yes => {}
                Left::No => break self.state.claim(tenant, &id, &wish, self.timeouts.create).await,
                Left::Unknown => return Err(Fault::create_failed()),
            }
        };
        let (server, create) = match turn {
            Turn::Make(guard) => (guard.server(), Create::Claimed(guard)),
            Turn::Repeat(repeat) => (repeat.server(), Create::Repeated(repeat)),
            Turn::Unavailable => return Err(Fault::no_server()),
            Turn::TagUnavailable => return Err(Fault::tag_unavailable(wish.tags.text())),
            Turn::Timeout => return Err(Fault::create_failed()),
        };
        let spec = self.usable(server).ok_or(Fault::create_failed())?;
        let mut errand = Errand::new(tenant, call, Some(id), (server, spec), has_body, create);
        errand.running_since = running_since;
        Ok(errand)
    }

    /// Whether the meeting is ending, or its server takes no new meetings: then a repeated create belongs
    /// there only if the meeting is still alive.
    fn is_leaving(&self, tenant: TenantId, id: &MeetingId, server: ServerId) -> bool {
        let cluster = self.state.cluster();
        let ending = cluster.find(tenant, id).is_some_and(|meeting| meeting.stage == Stage::Ending);
        ending || cluster.member(server).is_some_and(|member| member.mode != Mode::Serve)
    }

    /// Asks the server until it says, as often as it takes to believe it, that the meeting is not there. A
    /// meeting that was ended is waited for: a create in the meantime would be answered with the dying one
    /// (`bbb-api.md` 2.5).
    async fn has_left(&self, tenant: TenantId, id: &MeetingId, server: ServerId) -> Left {
        let begun = self.state.now();
        loop {
            let asked = self.state.now();
            let verdict = self.inquire(server, Some(id)).await;
            if verdict == Verdict::NotMade && self.state.not_found(tenant, id, server, asked) {
                return Left::Yes;
            }
            let (stage, at) = {
                let cluster = self.state.cluster();
                let Some(meeting) = cluster.find(tenant, id) else { return Left::Yes };
                (meeting.stage, meeting.server)
            };
            let waiting = stage == Stage::Ending || verdict == Verdict::NotMade;
            let patient = self.state.now().since(begun) < ENDING_PATIENCE;
            if at == server && stage == Stage::Ending && verdict == Verdict::Unknown {
                return Left::Unknown;
            }
            if at != server || !waiting || verdict == Verdict::Unknown || !patient {
                return Left::No;
            }
            tokio::time::sleep(ENDING_INTERVAL).await;
        }
    }
}
