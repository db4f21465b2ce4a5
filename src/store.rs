//! What BBB cannot tell, kept in one SQLite file under `state_dir`: which server a new meeting was claimed on,
//! what operators set, hooks, and how large meetings usually are. The only module that knows SQL.
//!
//! Nobody depends on it to serve: deleting the file loses no running meeting (design rule 3), and a file that
//! cannot be written, is locked, full or corrupt is reported and left alone while everything goes on from
//! memory. Meeting IDs are kept as hashes only.

pub mod hooks;
pub mod modes;
pub mod sizes;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqlitePool};

use crate::bbb::id::KeyHash;
use crate::cluster::meetings::ClaimId;
use crate::cluster::server::ServerName;

/// The file in `state_dir`.
const FILE: &str = "tinyscale.sqlite";
/// How long a statement waits for another process, then memory has to do.
const BUSY: Duration = Duration::from_millis(500);
/// How long a statement may take in all before memory has to do.
const DEADLINE: Duration = Duration::from_secs(1);

/// Each step brings a store from one version to the next. Plain types only, so that PostgreSQL takes the same.
const STEPS: [&str; 4] = [
    "
    CREATE TABLE claims (
        meeting TEXT PRIMARY KEY,
        server TEXT NOT NULL,
        owner TEXT NOT NULL,
        number BIGINT NOT NULL,
        holders BIGINT NOT NULL,
        claimed_s BIGINT NOT NULL
    );
    CREATE TABLE modes (server TEXT PRIMARY KEY, mode TEXT NOT NULL);
",
    "
    CREATE TABLE hooks (
        tenant BIGINT NOT NULL,
        hook TEXT NOT NULL,
        sealed TEXT,
        changed_s BIGINT NOT NULL,
        PRIMARY KEY (tenant, hook)
    );
",
    "
    ALTER TABLE modes ADD COLUMN since_s BIGINT;
    ALTER TABLE modes ADD COLUMN until_s BIGINT;
    ALTER TABLE modes ADD COLUMN message TEXT;
",
    "
    CREATE TABLE sizes (
        tenant BIGINT NOT NULL,
        hash TEXT NOT NULL,
        count_m BIGINT NOT NULL,
        mean_m BIGINT NOT NULL,
        variance_m BIGINT NOT NULL,
        seen_s BIGINT NOT NULL,
        PRIMARY KEY (tenant, hash)
    );
",
];

/// The store, or what is left of it.
#[derive(Debug)]
pub struct Store {
    pool: SqlitePool,
    healthy: AtomicBool,
    /// Tells the claims of this process from those of others.
    owner: String,
}

/// Why there is no store; reads as a sentence's end.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoStore(String);

/// What a claim must be older than to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    last: ClaimId,
    at_s: i64,
}

impl Over {
    /// Claims of this process up to `last`, and all that were made more than `ago` before now.
    pub fn since(last: ClaimId, ago: Duration) -> Self {
        let ago = i64::try_from(ago.as_secs()).unwrap_or(i64::MAX).saturating_add(1);
        Self { last, at_s: unix_s().saturating_sub(ago) }
    }
}

/// A claim as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredClaim {
    /// Whose.
    pub meeting: KeyHash,
    /// The server that may have the meeting.
    pub server: ServerName,
}

impl Store {
    /// Opens the store in `folder`, making both if they are not there.
    pub async fn open(folder: &Path) -> Result<Self, NoStore> {
        std::fs::create_dir_all(folder)
            .map_err(|why| NoStore(format!("{} cannot be made: {why}", folder.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join(FILE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A claim must outlive the process, not the power: after a power cut no create is under way.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY);
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .acquire_timeout(DEADLINE)
            .connect_with(options)
            .await
            .map_err(|why| NoStore(shown(&why)))?;
        let owner = format!("{}-{}", std::process::id(), unix_ns());
        let store = Self { pool, healthy: AtomicBool::new(true), owner };
        store.migrate().await.map_err(|why| NoStore(shown(&why)))?;
        Ok(store)
    }

    async fn migrate(&self) -> sqlx::Result<()> {
        let mut change = self.pool.begin().await?;
        sqlx::query("CREATE TABLE IF NOT EXISTS version (step BIGINT NOT NULL)")
            .execute(&mut *change)
            .await?;
        let done: Option<i64> =
            sqlx::query_scalar("SELECT MAX(step) FROM version").fetch_one(&mut *change).await?;
        let done = done.and_then(|step| usize::try_from(step).ok()).unwrap_or_default();
        for (step, sql) in STEPS.iter().enumerate().skip(done) {
            sqlx::raw_sql(*sql).execute(&mut *change).await?;
            let step = i64::try_from(step + 1).unwrap_or(i64::MAX);
            sqlx::query("INSERT INTO version VALUES ($1)").bind(step).execute(&mut *change).await?;
        }
        change.commit().await
    }

    /// Whether the last statement worked.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Claims `meeting` on `server` unless another process has: the server that has the claim now. `None`:
    /// the store cannot tell, memory decides. What this process has claimed before is superseded: its memory
    /// knows best.
    pub async fn claim(
        &self,
        meeting: KeyHash,
        claim: ClaimId,
        server: &ServerName,
    ) -> Option<ServerName> {
        let claiming = sqlx::query(
            "INSERT INTO claims VALUES ($1, $2, $3, CAST($4 AS BIGINT), 1, CAST($5 AS BIGINT)) \
             ON CONFLICT (meeting) DO UPDATE SET \
             server = CASE claims.owner WHEN $3 THEN $2 ELSE claims.server END, \
             number = CASE claims.owner WHEN $3 THEN excluded.number ELSE claims.number END, \
             holders = CASE claims.owner WHEN $3 THEN 1 ELSE claims.holders + 1 END, \
             claimed_s = excluded.claimed_s \
             RETURNING server",
        )
        .bind(meeting.to_string())
        .bind(server.as_str())
        .bind(&self.owner)
        .bind(number(claim))
        .bind(unix_s())
        .fetch_one(&self.pool);
        let row = self.told("claim", claiming).await?;
        ServerName::new(row.try_get("server").ok()?).ok()
    }

    /// Moves a claim on, because `from` certainly made nothing. False if another process has relied on it in
    /// the meantime, which may be sending a create to `from` right now.
    pub async fn move_claim(&self, meeting: KeyHash, from: &ServerName, to: &ServerName) -> bool {
        let moving = sqlx::query(
            "UPDATE claims SET server = $3 WHERE meeting = $1 AND server = $2 AND holders = 1",
        )
        .bind(meeting.to_string())
        .bind(from.as_str())
        .bind(to.as_str())
        .execute(&self.pool);
        // Without a store nobody else can have relied on it.
        self.told("move", moving).await.is_none_or(|done| done.rows_affected() == 1)
    }

    /// Takes a claim over whose server counts as lost.
    pub async fn take_over(&self, meeting: KeyHash, claim: ClaimId, server: &ServerName) {
        let taking = sqlx::query(
            "UPDATE claims SET server = $2, owner = $3, number = CAST($4 AS BIGINT), holders = 1 \
             WHERE meeting = $1",
        )
        .bind(meeting.to_string())
        .bind(server.as_str())
        .bind(&self.owner)
        .bind(number(claim))
        .execute(&self.pool);
        self.told("take over", taking).await;
    }

    /// Forgets a claim: nobody made the meeting, or it is gone. One that this process made after the last
    /// one that is over is another one and stays; so does one of another process that anybody has relied on
    /// since it was known to be over, or in the same second.
    pub async fn forget(&self, meeting: KeyHash, over: Over) {
        let forgetting = sqlx::query(
            "DELETE FROM claims WHERE meeting = $1 AND ( \
             owner = $2 AND number <= CAST($3 AS BIGINT) AND holders = 1 \
             OR (owner <> $2 OR holders > 1) AND claimed_s < CAST($4 AS BIGINT))",
        )
        .bind(meeting.to_string())
        .bind(&self.owner)
        .bind(number(over.last))
        .bind(over.at_s)
        .execute(&self.pool);
        self.told("forget", forgetting).await;
    }

    /// All claims, for a start after which memory is empty.
    pub async fn claims(&self) -> Vec<StoredClaim> {
        let reading = sqlx::query("SELECT meeting, server FROM claims").fetch_all(&self.pool);
        let rows = self.told("claims", reading).await.unwrap_or_default();
        rows.iter()
            .filter_map(|row| {
                let meeting = KeyHash::parse(row.try_get("meeting").ok()?)?;
                let server = ServerName::new(row.try_get("server").ok()?).ok()?;
                Some(StoredClaim { meeting, server })
            })
            .collect()
    }

    /// The result of a statement; a failure is told once, when things turn bad, and then again when they
    /// turn good.
    async fn told<T>(
        &self,
        what: &str,
        statement: impl Future<Output = sqlx::Result<T>>,
    ) -> Option<T> {
        self.told_in(what, statement, DEADLINE).await
    }

    /// The same of one that may take longer.
    async fn told_in<T>(
        &self,
        what: &str,
        statement: impl Future<Output = sqlx::Result<T>>,
        deadline: Duration,
    ) -> Option<T> {
        let outcome = tokio::time::timeout(deadline, statement).await;
        let outcome = outcome.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let was_healthy = self.healthy.swap(outcome.is_ok(), Ordering::Relaxed);
        match outcome {
            Ok(value) => {
                if !was_healthy {
                    log::info!("the store works again");
                }
                Some(value)
            }
            Err(why) => {
                if was_healthy {
                    let why = shown(&why);
                    log::error!(
                        "the store does not work: serving from memory; step={what} reason={why}"
                    );
                }
                None
            }
        }
    }
}

/// The reason without the statement.
fn shown(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    }
}

fn number(claim: ClaimId) -> i64 {
    i64::try_from(claim.0).unwrap_or(i64::MAX)
}

/// Different in every process that ever opened the file.
#[expect(clippy::disallowed_methods, reason = "a name, not a decision")]
fn unix_ns() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos())
}

/// For people who look into the file; nothing is decided by it.
#[expect(clippy::disallowed_methods, reason = "a date for people, not a decision")]
fn unix_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::id::{MeetingId, TenantId};

    fn over(last: u64) -> Over {
        Over::since(ClaimId(last), Duration::ZERO)
    }

    fn meeting(text: &str) -> KeyHash {
        KeyHash::of(TenantId::DEFAULT, &MeetingId::new(text).unwrap())
    }

    fn server(text: &str) -> ServerName {
        ServerName::new(text).unwrap()
    }

    async fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(folder.path()).await.unwrap()
    }

    #[tokio::test]
    async fn the_first_claim_wins_in_every_process() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (store(&folder).await, store(&folder).await);
        let (a, b) = (server("a"), server("b"));
        assert_eq!(one.claim(meeting("m"), ClaimId(0), &a).await, Some(a.clone()));
        assert_eq!(other.claim(meeting("m"), ClaimId(0), &b).await, Some(a.clone()));
        assert_eq!(other.claim(meeting("n"), ClaimId(1), &b).await, Some(b));
        let claims = store(&folder).await.claims().await;
        assert_eq!(claims.len(), 2);
        // Somebody else has relied on them just now.
        one.forget(meeting("m"), over(0)).await;
        one.forget(meeting("n"), over(0)).await;
        assert_eq!(other.claims().await.len(), 2);
        let later = Over { at_s: unix_s() + 10, ..over(0) };
        one.forget(meeting("m"), later).await;
        one.forget(meeting("n"), later).await;
        assert!(other.claims().await.is_empty());
    }

    #[tokio::test]
    async fn a_late_forget_does_not_hit_a_new_claim_on_what_a_process_before_this_one_had_claimed()
    {
        let folder = tempfile::tempdir().unwrap();
        let (before, now) = (store(&folder).await, store(&folder).await);
        before.claim(meeting("m"), ClaimId(7), &server("a")).await;
        // The meeting ends, and is made again before the store is told that it ended.
        let ended = over(3);
        now.claim(meeting("m"), ClaimId(4), &server("a")).await;
        now.forget(meeting("m"), ended).await;
        assert_eq!(now.claims().await.len(), 1);
    }

    #[tokio::test]
    async fn a_process_supersedes_its_own_claims_and_a_late_forget_does_not_hit_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let (a, b) = (server("a"), server("b"));
        store.claim(meeting("m"), ClaimId(0), &a).await;
        assert_eq!(store.claim(meeting("m"), ClaimId(1), &b).await, Some(b));
        store.forget(meeting("m"), over(0)).await;
        assert_eq!(store.claims().await.len(), 1);
        store.forget(meeting("m"), over(1)).await;
        assert!(store.claims().await.is_empty());
    }

    #[tokio::test]
    async fn a_claim_that_others_rely_on_does_not_move() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (store(&folder).await, store(&folder).await);
        let (a, b) = (server("a"), server("b"));
        one.claim(meeting("m"), ClaimId(0), &a).await;
        assert!(one.move_claim(meeting("m"), &a, &b).await);
        assert_eq!(other.claim(meeting("m"), ClaimId(0), &a).await, Some(b.clone()));
        assert!(!one.move_claim(meeting("m"), &b, &a).await);
        other.take_over(meeting("m"), ClaimId(0), &a).await;
        assert_eq!(one.claims().await[0].server, a);
    }

    #[tokio::test]
    async fn a_file_that_is_none_and_a_folder_that_cannot_be_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join(FILE),
            b"this is no database, it is a text of some length",
        )
        .unwrap();
        assert!(
            Store::open(folder.path()).await.unwrap_err().to_string().contains("not a database")
        );
        assert!(Store::open(&folder.path().join(FILE)).await.is_err());
    }

    #[tokio::test]
    async fn a_locked_file_does_not_stop_anybody() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (store(&folder).await, store(&folder).await);
        let mut lock = one.pool.acquire().await.unwrap();
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut *lock).await.unwrap();
        assert_eq!(other.claim(meeting("m"), ClaimId(0), &server("a")).await, None);
        assert!(!other.is_healthy());
        sqlx::query("COMMIT").execute(&mut *lock).await.unwrap();
        assert_eq!(other.claim(meeting("m"), ClaimId(0), &server("a")).await, Some(server("a")));
        assert!(other.is_healthy());
    }
}
