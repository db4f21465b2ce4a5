//! Drains while they go on: tells the meetings of a server that is being emptied, and operators when it is empty
//! or overdue. Never ends a meeting (design rule 1).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::watch;

use crate::bbb::id::MeetingId;
use crate::bbb::query;
use crate::bbb::xml::{self, ReturnCode, Wanted};
use crate::client::Client;
use crate::clock;
use crate::cluster::drain::{Drain, announcement};
use crate::cluster::health::Health;
use crate::cluster::server::{Mode, ServerId};
use crate::config::settings::Settings;
use crate::state::State;
use crate::state::events::Kind;
use crate::state::operate::Standing;

/// How often drains are looked at; announcements are exact to this.
const INTERVAL: Duration = Duration::from_secs(2);
/// Meetings of one server that are told at the same time.
const TOLD_AT_ONCE_MAX: usize = 8;
const DEADLINE: Duration = Duration::from_secs(5);

/// What watching drains needs.
pub(crate) struct Drains {
    pub(crate) state: Arc<State>,
    pub(crate) client: Client,
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
}

/// What was done about one drain.
#[derive(Default)]
struct Done {
    drain: Drain,
    /// The meetings that were told, and of which announcement.
    told: HashMap<MeetingId, usize>,
    /// The server takes no chat messages: it is older than 3.0.
    silent: bool,
    drained: bool,
    overdue: bool,
}

impl Drains {
    /// Until `shutdown` turns true.
    pub(crate) async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let mut changed = self.state.watch_modes();
        let mut under_way: HashMap<ServerId, Done> = HashMap::new();
        loop {
            changed.mark_unchanged();
            let drained: Vec<Standing> =
                self.state.standings().into_iter().filter(|s| s.drain.is_some()).collect();
            let servers: HashSet<ServerId> = drained.iter().map(|one| one.server).collect();
            under_way.retain(|server, _| servers.contains(server));
            for one in drained {
                let done = under_way.entry(one.server).or_default();
                self.look(&one, done).await;
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                // An error means that everything ends.
                _ = changed.changed() => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn look(&self, one: &Standing, done: &mut Done) {
        let Some(drain) = &one.drain else { return };
        if done.drain != *drain {
            // Another order, also if only its words are new.
            *done = Done { drain: drain.clone(), ..Done::default() };
        }
        let (name, meetings, people) = (&one.name, one.meetings, one.people);
        let now = clock::unix_s();
        // Of a server that does not answer nobody knows whether it is empty.
        if one.is_drained() && one.health == Health::Up && !done.drained {
            log::info!("server is drained: no meeting is left; server={name}");
            self.state.note(Kind::Drain, name.as_str(), "drained: no meeting is left");
        }
        done.drained = one.is_drained() && one.health == Health::Up;
        if one.is_overdue(now) && !done.overdue {
            log::warn!("drain is overdue; server={name} meetings={meetings} people={people}");
            let text = format!("overdue: {meetings} meetings with {people} people are left");
            self.state.note(Kind::Drain, name.as_str(), text);
        }
        done.overdue = one.is_overdue(now);
        if !done.silent && one.mode == Mode::Drain && one.health != Health::Down {
            self.tell(one, drain, done, now).await;
        }
    }

    /// Tells the meetings that have not been told what is due now.
    async fn tell(&self, one: &Standing, drain: &Drain, done: &mut Done, now: u64) {
        let settings = self.settings.borrow().drain.clone();
        // Without an end, and without words of the operator's own, there is nothing that people must know.
        let usual = drain.until_unix_s.map(|_| &settings.message);
        let text = drain.message.as_ref().or(usual);
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        let due = drain.due(&settings.again_before, now);
        let ids: Vec<MeetingId> = {
            let cluster = self.state.cluster();
            cluster.meetings().on(one.server).map(|meeting| meeting.key.id.clone()).collect()
        };
        done.told.retain(|id, _| ids.contains(id));
        let untold = ids.into_iter().filter(|id| done.told.get(id).is_none_or(|told| *told < due));
        let untold: Vec<MeetingId> = untold.collect();
        if untold.is_empty() {
            return;
        }
        let message = query::encode(&announcement(text, drain.until_unix_s, now));
        let telling = untold.into_iter().map(|id| {
            let (message, server) = (&message, one.server);
            async move {
                let taken = self.tell_one(server, &id, message).await;
                (id, taken)
            }
        });
        let mut telling = futures::stream::iter(telling).buffer_unordered(TOLD_AT_ONCE_MAX);
        let mut count = 0;
        while let Some((id, taken)) = telling.next().await {
            match taken {
                Some(Taken::Yes) => count += 1,
                Some(Taken::NeverWill) => done.silent = true,
                // Gone, or the server is busy: the next announcement may reach it.
                None => {}
            }
            done.told.insert(id, due);
        }
        let name = &one.name;
        if done.silent {
            log::info!("server takes no announcements: it is older than 3.0; server={name}");
        }
        if count > 0 {
            log::info!("meetings were told of the drain; server={name} meetings={count}");
            let text = format!("{count} meetings were told");
            self.state.note(Kind::Drain, name.as_str(), text);
        }
    }

    async fn tell_one(&self, server: ServerId, id: &MeetingId, message: &str) -> Option<Taken> {
        const WANTED: Wanted = Wanted { fields: &[], list: None, item_fields: &[] };
        let query = format!("meetingID={}&message={message}", query::encode(id.as_str()));
        let answer = self.client.call(server, "sendChatMessage", &query, DEADLINE).await;
        let answer = xml::read(&answer.ok()?, &WANTED).ok()?;
        if answer.returncode == ReturnCode::Success {
            return Some(Taken::Yes);
        }
        answer.failed_with("unsupportedRequest").then_some(Taken::NeverWill)
    }
}

enum Taken {
    Yes,
    NeverWill,
}
