//! What operators set, in the store: modes, and how a drain was asked for.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::cluster::drain::Drain;
use crate::cluster::server::{Mode, ServerName};
use crate::store::Store;

/// What an operator set for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMode {
    /// Which.
    pub server: ServerName,
    /// What.
    pub mode: Mode,
    /// How, if that is a drain.
    pub drain: Drain,
}

impl Store {
    /// Keeps what an operator set.
    pub async fn set_mode(&self, set: &StoredMode) {
        let setting = sqlx::query(
            "INSERT INTO modes (server, mode, since_s, until_s, message) \
             VALUES ($1, $2, CAST($3 AS BIGINT), CAST($4 AS BIGINT), $5) \
             ON CONFLICT (server) DO UPDATE SET mode = excluded.mode, since_s = excluded.since_s, \
             until_s = excluded.until_s, message = excluded.message",
        )
        .bind(set.server.as_str())
        .bind(set.mode.name())
        .bind(seconds(set.drain.since_unix_s))
        .bind(set.drain.until_unix_s.map(seconds))
        .bind(set.drain.message.as_deref())
        .execute(&self.pool);
        self.told("mode", setting).await;
    }

    /// What operators have set.
    pub async fn modes(&self) -> Vec<StoredMode> {
        let reading = sqlx::query("SELECT server, mode, since_s, until_s, message FROM modes")
            .fetch_all(&self.pool);
        let rows = self.told("modes", reading).await.unwrap_or_default();
        rows.iter().filter_map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Option<StoredMode> {
    let since: Option<i64> = row.try_get("since_s").ok()?;
    let until: Option<i64> = row.try_get("until_s").ok()?;
    let whole = |seconds: i64| u64::try_from(seconds).unwrap_or_default();
    Some(StoredMode {
        server: ServerName::new(row.try_get("server").ok()?).ok()?,
        mode: Mode::of_name(row.try_get("mode").ok()?)?,
        drain: Drain {
            since_unix_s: since.map_or(0, whole),
            until_unix_s: until.map(whole),
            message: row.try_get("message").ok()?,
        },
    })
}

fn seconds(unix_s: u64) -> i64 {
    i64::try_from(unix_s).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn modes_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode, until| StoredMode {
            server: ServerName::new("a").unwrap(),
            mode,
            drain: Drain { since_unix_s: 5, until_unix_s: until, message: Some("m".to_owned()) },
        };
        Store::open(folder.path()).await.unwrap().set_mode(&set(Mode::Disable, None)).await;
        let drain = set(Mode::Drain, Some(17));
        Store::open(folder.path()).await.unwrap().set_mode(&drain).await;
        assert_eq!(Store::open(folder.path()).await.unwrap().modes().await, [drain]);
    }
}
