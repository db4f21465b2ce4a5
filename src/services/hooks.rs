//! Keeps every server's hooks in step with the registry: those that front ends asked for are there, also at
//! servers that come later; those that were destroyed are not; and what servers already have is learned, so
//! that a restart loses none. One independent task per server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::bbb::query;
use crate::bbb::xml::{self, ReturnCode, Wanted};
use crate::client::{Client, Failure};
use crate::cluster::health::Health;
use crate::cluster::server::{Mode, ServerId, ServerSpec};
use crate::services::each;
use crate::state::State;
use crate::state::hooks::Hooks;
use crate::state::outbox::Outbox;

/// How often a server is looked at when nothing changes: bbb-webhooks drops hooks that it cannot deliver to.
const INTERVAL: Duration = Duration::from_secs(60);
/// While it cannot be asked, until it is back.
const INTERVAL_DOWN: Duration = Duration::from_secs(1);
/// Without bbb-webhooks, until it is installed.
const INTERVAL_NONE: Duration = Duration::from_secs(600);
/// After a failure.
const INTERVAL_FAILED: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(10);

/// What keeping hooks needs.
#[derive(Clone)]
pub struct Keeper {
    /// The hooks.
    pub hooks: Arc<Hooks>,
    /// Whose keys seal the URLs.
    pub outbox: Arc<Outbox>,
    /// The servers.
    pub state: Arc<State>,
    /// Asks them.
    pub client: Client,
}

/// How a look at a server went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Done,
    Failed,
    /// The server has no bbb-webhooks.
    None,
}

impl Keeper {
    /// Keeps all servers up to date, those that come later too, until `shutdown` turns true.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let ended = shutdown.clone();
        let servers = || self.state.servers().into_iter().map(|(server, _)| server).collect();
        let keep = |server| {
            let this = self.clone();
            async move { this.keep(server).await }
        };
        let keeping = each::run(servers, keep, self.state.watch_servers(), shutdown);
        tokio::join!(keeping, self.write_down(ended));
    }

    /// Keeps in the store what servers told of and what was given up.
    async fn write_down(&self, mut shutdown: watch::Receiver<bool>) {
        let mut changed = self.hooks.watch();
        loop {
            changed.mark_unchanged();
            if let Some(store) = self.state.store() {
                self.hooks.keep(store, &self.outbox.keyring()).await;
            }
            tokio::select! {
                told = changed.changed() => if told.is_err() { return },
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn keep(&self, server: ServerId) {
        let mut changed = self.hooks.watch();
        loop {
            changed.mark_unchanged();
            let pause = match self.can_be_asked(server) {
                Some(spec) => match self.look(server, &spec).await {
                    Ok(Look::Done) => INTERVAL,
                    Ok(Look::None) => INTERVAL_NONE,
                    Ok(Look::Failed) | Err(_) => INTERVAL_FAILED,
                },
                None => INTERVAL_DOWN,
            };
            let mut waiting = std::pin::pin!(tokio::time::sleep(pause));
            loop {
                tokio::select! {
                    () = &mut waiting => break,
                    _ = changed.changed() => break,
                    () = tokio::time::sleep(INTERVAL_DOWN) => {
                        // A server that went away may come back without its hooks.
                        if pause == INTERVAL && self.can_be_asked(server).is_none() {
                            break;
                        }
                    }
                }
            }
        }
    }

    fn can_be_asked(&self, server: ServerId) -> Option<Arc<ServerSpec>> {
        let cluster = self.state.cluster();
        let member = cluster.member(server);
        let member =
            member.filter(|m| m.mode != Mode::Disable && m.pulse.health() != Health::Down)?;
        Some(member.spec.clone())
    }

    /// Compares the server's list with the registry, both ways.
    async fn look(&self, server: ServerId, spec: &ServerSpec) -> Result<Look, Failure> {
        const WANTED: Wanted = Wanted {
            fields: &[],
            list: Some(("hooks", "hook")),
            item_fields: &["hookID", "callbackURL"],
        };
        let body = match self.client.call(server, "hooks/list", "", DEADLINE).await {
            Ok(body) => body,
            Err(Failure::Status(404)) => return Ok(Look::None),
            Err(why) => return Err(why),
        };
        let Ok(answer) = xml::read(&body, &WANTED) else { return Ok(Look::Failed) };
        if answer.returncode != ReturnCode::Success {
            return Ok(Look::Failed);
        }
        let mut there = Vec::new();
        for item in &answer.items {
            let text = |name| item.fields.text(name).unwrap_or_default();
            let keyring = self.outbox.keyring();
            let Some(listed) = self.hooks.listed(&keyring, text("callbackURL")) else {
                continue;
            };
            let hook = listed.hook;
            if self.hooks.registry().adopt(hook.clone(), &listed.secret) {
                log::info!("hook found; hook={} server={}", hook.id, spec.name);
                self.hooks.changed();
            }
            let is_good = listed.server == spec.name.as_str() && self.hooks.registry().has(&hook);
            if is_good && !there.contains(&hook) {
                there.push(hook);
            } else {
                let query = format!("hookID={}", query::encode(text("hookID")));
                self.client.call(server, "hooks/destroy", &query, DEADLINE).await?;
                log::info!("hook removed; hook={} server={}", hook.id, spec.name);
            }
        }
        let missing: Vec<_> = {
            let registry = self.hooks.registry();
            registry.all().filter(|(hook, _)| !there.contains(hook)).cloned().collect()
        };
        for (hook, secret) in missing {
            let keyring = self.outbox.keyring();
            let Some(url) = self.hooks.url(&keyring, &hook, &secret, spec.name.as_str()) else {
                continue;
            };
            let query = hook.create_query(&url);
            self.client.call(server, "hooks/create", &query, DEADLINE).await?;
            log::info!("hook registered; hook={} server={}", hook.id, spec.name);
        }
        Ok(Look::Done)
    }
}
