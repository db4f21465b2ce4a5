//! The hooks, as those who register them and those who keep servers up to date share them. Servers keep them
//! over a restart of tinyscale; the store, if there is one, keeps also what servers cannot: that a hook was
//! destroyed while one of them was away.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::bbb::id::TenantId;
use crate::bbb::secret::Secret;
use crate::callback::PATH;
use crate::callback::seal::Keyring;
use crate::hook::registry::Registry;
use crate::hook::{Hook, HookId};
use crate::store::Store;
use crate::store::hooks::StoredHook;

/// In the place of a server's name in what is stored.
const STORED: &str = "-";

/// The hooks.
pub struct Hooks {
    registry: Mutex<Registry>,
    public_url: String,
    changed: watch::Sender<()>,
    /// What the store has, `None` for what was destroyed. Held while something is written.
    written: tokio::sync::Mutex<HashMap<(TenantId, HookId), Option<Hook>>>,
}

/// A hook of ours that a server lists.
pub struct Listed {
    /// The hook.
    pub hook: Hook,
    /// The secret of its front end.
    pub secret: Secret,
    /// The server that the URL was made for.
    pub server: String,
}

impl Hooks {
    /// None yet. `public_url` is what servers call tinyscale.
    pub fn new(public_url: &str) -> Self {
        let public_url = public_url.to_owned();
        let changed = watch::Sender::new(());
        Self { registry: Mutex::default(), public_url, changed, written: Default::default() }
    }

    /// The registry.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock()
    }

    /// Asks for all servers to be brought up to date.
    pub fn changed(&self) {
        self.changed.send_replace(());
    }

    /// Tells of [`Self::changed`].
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The URL that `server` is to call for `hook`.
    pub fn url(
        &self,
        keyring: &Keyring,
        hook: &Hook,
        secret: &Secret,
        server: &str,
    ) -> Option<String> {
        let token = keyring.of(secret)?.token(&hook.at(server))?;
        Some(format!("{}{PATH}{token}", self.public_url))
    }

    /// The hook that a URL in a server's list stands for; `None` if it is not one of ours.
    pub fn listed(&self, keyring: &Keyring, url: &str) -> Option<Listed> {
        let token = url.strip_prefix(&self.public_url)?.strip_prefix(PATH)?;
        let (sealer, to) = keyring.open_token(token)?;
        let tenant: TenantId = sealer.tenant;
        let (hook, server) = Hook::read(tenant, &to)?;
        Some(Listed { hook, secret: sealer.secret.clone(), server })
    }

    /// Takes in what `store` has from before a restart. What no secret opens any more is left out.
    pub async fn recall(&self, store: &Store, keyring: &Keyring) {
        let mut written = self.written.lock().await;
        for stored in store.hooks().await {
            let (tenant, id) = (stored.tenant, stored.id);
            let opened = stored.sealed.as_deref().map(|sealed| keyring.open_token(sealed));
            match opened {
                None => {
                    self.registry().bury(tenant, id);
                    written.insert((tenant, id), None);
                }
                Some(Some((sealer, to))) => {
                    let Some((hook, _)) = Hook::read(tenant, &to) else { continue };
                    self.registry().adopt(hook.clone(), &sealer.secret);
                    written.insert((tenant, id), Some(hook));
                }
                Some(None) => {}
            }
        }
    }

    /// Writes down in `store` what has changed since the last time.
    pub async fn keep(&self, store: &Store, keyring: &Keyring) {
        let mut written = self.written.lock().await;
        let (there, gone): (Vec<_>, Vec<_>) = {
            let registry = self.registry();
            (registry.all().cloned().collect(), registry.gone().copied().collect())
        };
        let mut wanted: HashMap<(TenantId, HookId), Option<(Hook, Secret)>> =
            gone.into_iter().map(|key| (key, None)).collect();
        wanted.extend(
            there.into_iter().map(|(hook, secret)| ((hook.tenant, hook.id), Some((hook, secret)))),
        );
        let old: Vec<_> = written.keys().filter(|key| !wanted.contains_key(key)).copied().collect();
        for key in old {
            store.forget_hook(key.0, key.1).await;
            written.remove(&key);
        }
        for ((tenant, id), hook) in wanted {
            let is_written = written
                .get(&(tenant, id))
                .is_some_and(|known| known.as_ref() == hook.as_ref().map(|(hook, _)| hook));
            if is_written {
                continue;
            }
            let sealed = match &hook {
                Some((hook, secret)) => {
                    let token = keyring.of(secret).and_then(|key| key.token(&hook.at(STORED)));
                    // Without its secret nobody could open it.
                    let Some(token) = token else { continue };
                    Some(token)
                }
                None => None,
            };
            store.keep_hook(&StoredHook { tenant, id, sealed }).await;
            written.insert((tenant, id), hook.map(|(hook, _)| hook));
        }
    }
}
