//! Learned sizes of meetings in the store: by the hash of an ID, by tenant, over all. Numbers are whole
//! thousandths, because not every database reads a real number back as it was written.

use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::bbb::id::TenantId;
use crate::cluster::placement::sizes::{SizeKey, SizeRecord, SizeRecords, Spread};
use crate::store::{Store, unix_s};

/// What is older says nothing any more.
const KEPT_S: i64 = 400 * 24 * 60 * 60;
/// In the place of an ID's hash: the mean of a tenant.
const OF_TENANT: &str = "tenant";
/// And that over all.
const OF_ALL: &str = "all";

impl Store {
    /// Keeps `records` in the place of what there is of the same.
    pub async fn keep_sizes(&self, records: &SizeRecords) {
        let keeping = async {
            let mut change = self.pool.begin().await?;
            let now = unix_s();
            let ids = records.ids.iter().map(|record| {
                let age = i64::try_from(record.age.as_secs()).unwrap_or(i64::MAX);
                let (tenant, hash) = (record.key.tenant, hex::encode(record.key.hash));
                (tenant, hash, record.spread, now.saturating_sub(age))
            });
            let tenants = records.tenants.iter();
            let tenants = tenants.map(|(id, spread)| (*id, OF_TENANT.to_owned(), *spread, now));
            let all = [(TenantId::DEFAULT, OF_ALL.to_owned(), records.all, now)];
            for (tenant, hash, spread, seen_s) in ids.chain(tenants).chain(all) {
                sqlx::query(
                    "INSERT INTO sizes VALUES (CAST($1 AS BIGINT), $2, CAST($3 AS BIGINT), \
                     CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT)) \
                     ON CONFLICT (tenant, hash) DO UPDATE SET count_m = excluded.count_m, \
                     mean_m = excluded.mean_m, variance_m = excluded.variance_m, \
                     seen_s = excluded.seen_s",
                )
                .bind(i64::from(tenant.0))
                .bind(hash)
                .bind(thousandths(spread.count))
                .bind(thousandths(spread.mean))
                .bind(thousandths(spread.variance))
                .bind(seen_s)
                .execute(&mut *change)
                .await?;
            }
            sqlx::query("DELETE FROM sizes WHERE seen_s < CAST($1 AS BIGINT)")
                .bind(now - KEPT_S)
                .execute(&mut *change)
                .await?;
            change.commit().await
        };
        self.told_in("sizes", keeping, SLOW_DEADLINE).await;
    }

    /// All that was kept.
    pub async fn sizes(&self) -> SizeRecords {
        let reading =
            sqlx::query("SELECT tenant, hash, count_m, mean_m, variance_m, seen_s FROM sizes")
                .fetch_all(&self.pool);
        let rows = self.told_in("sizes", reading, SLOW_DEADLINE).await.unwrap_or_default();
        let mut records = SizeRecords::default();
        for row in &rows {
            // One that cannot be read is one that is not known.
            let _ = read(row, &mut records);
        }
        records
    }
}

/// A hundred thousand rows take their time, in the background.
const SLOW_DEADLINE: Duration = Duration::from_secs(20);

fn read(row: &SqliteRow, records: &mut SizeRecords) -> Option<()> {
    let number = |name: &str| row.try_get::<i64, _>(name).ok();
    let tenant = TenantId(u32::try_from(number("tenant")?).ok()?);
    let spread = Spread {
        count: number("count_m")? as f64 / 1000.0,
        mean: number("mean_m")? as f64 / 1000.0,
        variance: number("variance_m")? as f64 / 1000.0,
    };
    let hash: String = row.try_get("hash").ok()?;
    match hash.as_str() {
        OF_TENANT => records.tenants.push((tenant, spread)),
        OF_ALL => records.all = spread,
        hash => {
            let hash = hex::decode(hash).ok()?.try_into().ok()?;
            let age = u64::try_from(unix_s().saturating_sub(number("seen_s")?)).unwrap_or(0);
            let key = SizeKey { tenant, hash };
            records.ids.push(SizeRecord { key, spread, age: Duration::from_secs(age) });
        }
    }
    Some(())
}

fn thousandths(number: f64) -> i64 {
    // What does not fit is cut to what does.
    (number * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sizes_outlive_the_process_and_old_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let record = |byte: u8, mean, days: u64| SizeRecord {
            key: SizeKey { tenant: TenantId::DEFAULT, hash: [byte; 12] },
            spread: Spread { count: 2.5, mean, variance: 4.125 },
            age: Duration::from_secs(days * 24 * 60 * 60),
        };
        let tenant = Spread { count: 40.0, mean: 17.5, variance: 90.0 };
        let records = SizeRecords {
            ids: vec![record(1, 23.0, 0), record(2, 7.0, 30), record(3, 9.0, 500)],
            tenants: vec![(TenantId::DEFAULT, tenant)],
            all: tenant,
        };
        Store::open(folder.path()).await.unwrap().keep_sizes(&records).await;
        let mut read = Store::open(folder.path()).await.unwrap().sizes().await;
        read.ids.sort_by_key(|record| record.key);
        let means: Vec<f64> = read.ids.iter().map(|record| record.spread.mean).collect();
        assert_eq!(means, [23.0, 7.0]);
        assert_eq!((&read.tenants, read.all), (&records.tenants, tenant));
        let days = read.ids[1].age.as_secs() / (24 * 60 * 60);
        assert_eq!((days, read.ids[1].spread), (30, record(2, 7.0, 30).spread));
    }
}
