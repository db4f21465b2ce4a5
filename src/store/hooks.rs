//! Hooks in the store: those that are there, sealed as in the URLs that servers get, and those that were
//! destroyed, so that a server that was away meanwhile does not bring them back.

use sqlx::Row;

use crate::bbb::id::TenantId;
use crate::hook::HookId;
use crate::store::{Store, unix_s};

/// A hook as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHook {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: HookId,
    /// The hook, sealed with its front end's secret; `None`: it was destroyed.
    pub sealed: Option<String>,
}

impl Store {
    /// Keeps a hook, or that it was destroyed.
    pub async fn keep_hook(&self, hook: &StoredHook) {
        let keeping = sqlx::query(
            "INSERT INTO hooks VALUES (CAST($1 AS BIGINT), $2, $3, CAST($4 AS BIGINT)) \
             ON CONFLICT (tenant, hook) DO UPDATE SET \
             sealed = excluded.sealed, changed_s = excluded.changed_s",
        )
        .bind(i64::from(hook.tenant.0))
        .bind(hook.id.to_string())
        .bind(hook.sealed.as_deref())
        .bind(unix_s())
        .execute(&self.pool);
        self.told("hook", keeping).await;
    }

    /// Forgets all about a hook.
    pub async fn forget_hook(&self, tenant: TenantId, id: HookId) {
        let forgetting =
            sqlx::query("DELETE FROM hooks WHERE tenant = CAST($1 AS BIGINT) AND hook = $2")
                .bind(i64::from(tenant.0))
                .bind(id.to_string())
                .execute(&self.pool);
        self.told("forget hook", forgetting).await;
    }

    /// All hooks, what was destroyed first first.
    pub async fn hooks(&self) -> Vec<StoredHook> {
        let reading = sqlx::query("SELECT tenant, hook, sealed FROM hooks ORDER BY changed_s")
            .fetch_all(&self.pool);
        let rows = self.told("hooks", reading).await.unwrap_or_default();
        rows.iter()
            .filter_map(|row| {
                let tenant: i64 = row.try_get("tenant").ok()?;
                let id = HookId::parse(row.try_get("hook").ok()?)?;
                let sealed = row.try_get("sealed").ok()?;
                Some(StoredHook { tenant: TenantId(u32::try_from(tenant).ok()?), id, sealed })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hooks_and_what_was_destroyed_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let hook = |id: &str, sealed: Option<&str>| StoredHook {
            tenant: TenantId::DEFAULT,
            id: HookId::parse(id).unwrap(),
            sealed: sealed.map(str::to_owned),
        };
        let store = Store::open(folder.path()).await.unwrap();
        for one in [hook("1", Some("a")), hook("2", Some("b")), hook("1", None)] {
            store.keep_hook(&one).await;
        }
        let again = Store::open(folder.path()).await.unwrap();
        let mut hooks = again.hooks().await;
        hooks.sort_by_key(|hook| hook.id);
        assert_eq!(hooks, [hook("1", None), hook("2", Some("b"))]);
        again.forget_hook(TenantId::DEFAULT, HookId::parse("1").unwrap()).await;
        assert_eq!(again.hooks().await, [hook("2", Some("b"))]);
    }
}
