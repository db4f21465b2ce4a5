//! The hooks of all front ends. As in bbb-webhooks, a URL makes a hook and makes only one.

use std::collections::{BTreeMap, VecDeque};

use crate::bbb::id::TenantId;
use crate::bbb::reply::{Reply, escape};
use crate::bbb::secret::Secret;
use crate::hook::{Hook, HookId};

const HOOKS_MAX: usize = 1_000;
/// Hooks that were destroyed and must not come back with a server that was away.
const GONE_MAX: usize = 10_000;

/// The hooks.
#[derive(Debug, Default)]
pub struct Registry {
    hooks: BTreeMap<(TenantId, HookId), (Hook, Secret)>,
    gone: VecDeque<(TenantId, HookId)>,
}

/// What became of a hook that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New,
    /// There is one with that URL.
    Exists,
    /// There are too many.
    Full,
}

impl Registry {
    /// Adds the hook of a front end whose secret is `secret`.
    pub fn add(&mut self, hook: Hook, secret: &Secret) -> Added {
        let key = (hook.tenant, hook.id);
        if self.hooks.contains_key(&key) {
            return Added::Exists;
        }
        if self.hooks.len() >= HOOKS_MAX {
            return Added::Full;
        }
        self.gone.retain(|gone| *gone != key);
        self.hooks.insert(key, (hook, secret.clone()));
        Added::New
    }

    /// A server lists this one: it is added unless it was destroyed. True if it was not known.
    pub fn adopt(&mut self, hook: Hook, secret: &Secret) -> bool {
        !self.is_gone(hook.tenant, hook.id) && self.add(hook, secret) == Added::New
    }

    /// Destroys one; whether it was there.
    pub fn remove(&mut self, tenant: TenantId, id: HookId) -> bool {
        let removed = self.hooks.remove(&(tenant, id)).is_some();
        if removed {
            self.gone.push_back((tenant, id));
            if self.gone.len() > GONE_MAX {
                self.gone.pop_front();
            }
        }
        removed
    }

    /// It was destroyed before a restart.
    pub fn bury(&mut self, tenant: TenantId, id: HookId) {
        self.remove(tenant, id);
        if !self.is_gone(tenant, id) {
            self.gone.push_back((tenant, id));
        }
    }

    /// Those that were destroyed, the first first.
    pub fn gone(&self) -> impl Iterator<Item = &(TenantId, HookId)> {
        self.gone.iter()
    }

    /// Whether it was destroyed.
    pub fn is_gone(&self, tenant: TenantId, id: HookId) -> bool {
        self.gone.contains(&(tenant, id))
    }

    /// Whether it is there, just as it is.
    pub fn has(&self, hook: &Hook) -> bool {
        self.hooks.get(&(hook.tenant, hook.id)).is_some_and(|(known, _)| known == hook)
    }

    /// All of them, with the secrets of their front ends.
    pub fn all(&self) -> impl Iterator<Item = &(Hook, Secret)> {
        self.hooks.values()
    }

    /// The answer to hooks/list: those of `meeting` and those of all meetings, or simply all.
    pub fn list(&self, tenant: TenantId, meeting: Option<&str>) -> Reply {
        let mut inside = "<returncode>SUCCESS</returncode><hooks>".to_owned();
        let own = self.all().map(|(hook, _)| hook).filter(|hook| hook.tenant == tenant);
        for hook in own {
            if meeting.is_some() && hook.meeting.is_some() && hook.meeting.as_deref() != meeting {
                continue;
            }
            inside.push_str(&format!(
                "<hook><hookID>{}</hookID><callbackURL>{}</callbackURL>",
                hook.id,
                cdata(&hook.url)
            ));
            if let Some(meeting) = &hook.meeting {
                inside.push_str(&format!("<meetingID>{}</meetingID>", cdata(meeting)));
            }
            if let Some(events) = &hook.events {
                inside.push_str(&format!("<eventID>{}</eventID>", escape(events)));
            }
            let raw = hook.raw;
            inside.push_str(&format!(
                "<permanentHook>false</permanentHook><rawData>{raw}</rawData></hook>"
            ));
        }
        inside.push_str("</hooks>");
        Reply::xml(&inside)
    }
}

/// The answer to a hooks/create that made `hook`.
pub fn created(hook: &Hook) -> Reply {
    Reply::xml(&format!(
        "<returncode>SUCCESS</returncode><hookID>{}</hookID><permanentHook>false</permanentHook><rawData>{}</rawData>",
        hook.id, hook.raw
    ))
}

/// The answer to one that asked for what there is.
pub fn exists(id: HookId) -> Reply {
    Reply::xml(&format!(
        "<returncode>SUCCESS</returncode><hookID>{id}</hookID><messageKey>duplicateWarning</messageKey><message>There is already a hook for this callback URL.</message>"
    ))
}

/// The answer to a hooks/destroy that found its hook.
pub fn removed() -> Reply {
    Reply::xml("<returncode>SUCCESS</returncode><removed>true</removed>")
}

fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::tests::asked;

    fn secret() -> Secret {
        Secret::new("s").unwrap()
    }

    fn hook(url: &str, rest: &str) -> Hook {
        asked(&format!("callbackURL=https%3A%2F%2Fmy.test%2F{url}{rest}")).unwrap()
    }

    #[test]
    fn one_url_is_one_hook() {
        let mut registry = Registry::default();
        assert_eq!(registry.add(hook("a", ""), &secret()), Added::New);
        assert_eq!(registry.add(hook("a", "&meetingID=m"), &secret()), Added::Exists);
        assert_eq!(registry.add(hook("b", ""), &secret()), Added::New);
        assert!(registry.has(&hook("a", "")) && !registry.has(&hook("a", "&meetingID=m")));
    }

    #[test]
    fn what_was_destroyed_comes_back_only_if_it_is_asked_for() {
        let mut registry = Registry::default();
        let one = hook("a", "");
        assert!(registry.adopt(one.clone(), &secret()));
        assert!(!registry.adopt(one.clone(), &secret()));
        assert!(registry.remove(one.tenant, one.id));
        assert!(!registry.remove(one.tenant, one.id));
        assert!(!registry.adopt(one.clone(), &secret()) && !registry.has(&one));
        assert_eq!(registry.add(one.clone(), &secret()), Added::New);
        assert!(registry.has(&one) && !registry.is_gone(one.tenant, one.id));
        registry.bury(one.tenant, one.id);
        registry.bury(one.tenant, one.id);
        assert!(!registry.adopt(one.clone(), &secret()));
        assert_eq!(registry.gone().collect::<Vec<_>>(), [&(one.tenant, one.id)]);
    }

    #[test]
    fn lists_are_those_of_bbb_webhooks() {
        let mut registry = Registry::default();
        let (all, one) = (hook("a%3Fx%26y", ""), hook("b", "&meetingID=m&eventID=A,b&getRaw=true"));
        registry.add(all, &secret());
        registry.add(one.clone(), &secret());
        let body = |meeting| {
            String::from_utf8(registry.list(TenantId::DEFAULT, meeting).body.to_vec()).unwrap()
        };
        let of_one = format!(
            "<hook><hookID>{}</hookID><callbackURL><![CDATA[https://my.test/b]]></callbackURL><meetingID><![CDATA[m]]></meetingID><eventID>a,b</eventID><permanentHook>false</permanentHook><rawData>true</rawData></hook>",
            one.id
        );
        assert!(body(None).contains(&of_one) && body(Some("m")).contains(&of_one));
        assert!(!body(Some("other")).contains(&of_one));
        assert!(body(Some("other")).contains("<![CDATA[https://my.test/a?x&y]]>"));
        let others = registry.list(TenantId(1), None);
        assert_eq!(
            &others.body[..],
            b"<response><returncode>SUCCESS</returncode><hooks></hooks></response>"
        );
    }

    #[test]
    fn text_cannot_leave_its_cdata() {
        assert_eq!(cdata("a]]>b"), "<![CDATA[a]]]]><![CDATA[>b]]>");
    }

    #[test]
    fn there_is_a_bound() {
        let mut registry = Registry::default();
        let added: Vec<Added> =
            (0..=HOOKS_MAX).map(|n| registry.add(hook(&n.to_string(), ""), &secret())).collect();
        assert_eq!(added.iter().filter(|added| **added == Added::Full).count(), 1);
    }
}
