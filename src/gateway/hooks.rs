//! hooks/create, list and destroy: answered here, for all servers together.

use std::time::Duration;

use futures::StreamExt;

use crate::bbb::call::{Call, CallName, Method, SignedCall};
use crate::bbb::fault::Fault;
use crate::bbb::id::TenantId;
use crate::bbb::reply::{Format, Reply};
use crate::bbb::secret::Secret;
use crate::bbb::xml::{self, ReturnCode, Wanted};
use crate::cluster::server::ServerId;
use crate::gateway::Gateway;
use crate::gateway::callbacks::Callbacks;
use crate::gateway::request::Head;
use crate::hook::registry::{self, Added};
use crate::hook::{Hook, HookId, NoHook};

/// How many servers are told at the same time.
const TOLD_AT_ONCE_MAX: usize = 256;
const DEADLINE: Duration = Duration::from_secs(5);

impl Gateway {
    /// The answer to a hooks call; `None` if it is not one, or hooks cannot be had.
    pub(super) async fn hooks(&self, name: &CallName, head: &Head) -> Option<Reply> {
        let callbacks = self.callbacks.as_ref()?;
        let which = name.as_str().strip_prefix("hooks/")?;
        if head.method != Method::Get || !["create", "list", "destroy"].contains(&which) {
            return None;
        }
        let signed = SignedCall { name, query: &head.query, form: None };
        let answer = match self.tenants.verify(&signed) {
            Err(fault) => Err(fault),
            Ok((tenant, call)) => match which {
                "create" => self.create_hook(callbacks, tenant, &call).await,
                "list" => {
                    let meeting = call.param("meetingID");
                    Ok(callbacks.hooks.registry().list(tenant, meeting.as_deref()))
                }
                _ => destroy_hook(callbacks, tenant, &call),
            },
        };
        // Who is told that a hook is there, or is not any more, can rely on it over a restart.
        if answer.is_ok()
            && which != "list"
            && let Some(store) = self.state.store()
        {
            callbacks.hooks.keep(store, &callbacks.outbox.keyring()).await;
        }
        Some(answer.unwrap_or_else(|fault| Reply::fault(&fault, Format::Xml)))
    }

    async fn create_hook(
        &self,
        callbacks: &Callbacks,
        tenant: TenantId,
        call: &Call,
    ) -> Result<Reply, Fault> {
        let hook = Hook::asked(tenant, call).map_err(|why| match why {
            NoHook::Missing => Fault::hook_url_missing(),
            NoHook::Unusable => Fault::hook_not_created(),
        })?;
        let added = callbacks.hooks.registry().add(hook.clone(), call.secret());
        match added {
            Added::New => {}
            Added::Exists => return Ok(registry::exists(hook.id)),
            Added::Full => return Err(Fault::hook_not_created()),
        }
        // Only servers keep hooks over a restart: one that none of them took is none.
        if self.tell_servers(callbacks, &hook, call.secret()).await {
            callbacks.hooks.changed();
            Ok(registry::created(&hook))
        } else {
            callbacks.hooks.registry().remove(tenant, hook.id);
            callbacks.hooks.changed();
            Err(Fault::hook_not_created())
        }
    }

    /// Registers it everywhere at once, so that events of the next call are not missed. Whether a server
    /// took it; those that did not are told again in the background.
    async fn tell_servers(&self, callbacks: &Callbacks, hook: &Hook, secret: &Secret) -> bool {
        let telling = self.state.servers().into_iter().map(|(server, spec)| async move {
            let keyring = callbacks.outbox.keyring();
            let url = callbacks.hooks.url(&keyring, hook, secret, spec.name.as_str());
            let usable = self.usable(server).is_some();
            match url.filter(|_| usable) {
                Some(url) => self.tell_server(server, &hook.create_query(&url)).await,
                None => false,
            }
        });
        let mut told = futures::stream::iter(telling).buffer_unordered(TOLD_AT_ONCE_MAX);
        let mut any = false;
        while let Some(one) = told.next().await {
            any |= one;
        }
        any
    }

    async fn tell_server(&self, server: ServerId, query: &str) -> bool {
        const WANTED: Wanted = Wanted { fields: &[], list: None, item_fields: &[] };
        let answer = self.client.call(server, "hooks/create", query, DEADLINE).await;
        let read = answer.ok().and_then(|body| xml::read(&body, &WANTED).ok());
        read.is_some_and(|answer| answer.returncode == ReturnCode::Success)
    }
}

fn destroy_hook(callbacks: &Callbacks, tenant: TenantId, call: &Call) -> Result<Reply, Fault> {
    let id = call.param("hookID").ok_or(Fault::hook_id_missing())?;
    let id = HookId::parse(&id).ok_or(Fault::hook_not_found())?;
    if !callbacks.hooks.registry().remove(tenant, id) {
        return Err(Fault::hook_not_found());
    }
    callbacks.hooks.changed();
    Ok(registry::removed())
}
