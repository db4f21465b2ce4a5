//! The hooks, as those who register them and those who keep servers up to date share them.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::bbb::id::TenantId;
use crate::bbb::secret::Secret;
use crate::callback::PATH;
use crate::callback::seal::Keyring;
use crate::hook::Hook;
use crate::hook::registry::Registry;

/// The hooks.
pub struct Hooks {
    registry: Mutex<Registry>,
    public_url: String,
    changed: watch::Sender<()>,
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
        Self { registry: Mutex::default(), public_url, changed: watch::Sender::new(()) }
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
}
