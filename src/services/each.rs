//! One task for each of several things, servers or names, while they come and go. No task waits for another.

use std::collections::HashMap;
use std::hash::Hash;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Runs `task` for each of `keys`, until `shutdown` turns true. Whenever `changed` tells, tasks begin for keys
/// that are new and end for keys that are gone; the others go on undisturbed.
pub(crate) async fn run<K, T>(
    keys: impl Fn() -> Vec<K>,
    task: impl Fn(K) -> T,
    mut changed: watch::Receiver<()>,
    mut shutdown: watch::Receiver<bool>,
) where
    K: Clone + Eq + Hash,
    T: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut running: HashMap<K, AbortHandle> = HashMap::new();
    loop {
        changed.mark_unchanged();
        let wanted = keys();
        running.retain(|key, task| {
            let stays = wanted.contains(key);
            if !stays {
                task.abort();
            }
            stays
        });
        for key in wanted {
            if !running.contains_key(&key) {
                running.insert(key.clone(), tasks.spawn(task(key)));
            }
        }
        tokio::select! {
            told = changed.changed() => {
                if told.is_err() {
                    break;
                }
            }
            Some(_) = tasks.join_next() => {}
            // An error means that nobody is left who could ask for a stop.
            _ = shutdown.wait_for(|stop| *stop) => break,
        }
    }
    tasks.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn tasks_come_and_go_with_their_keys() {
        let keys = Arc::new(Mutex::new(vec![1, 2]));
        let running = Arc::new(Mutex::new(Vec::new()));
        let (change, changed) = watch::channel(());
        let (stop, shutdown) = watch::channel(false);
        struct Runs(i32, Arc<Mutex<Vec<i32>>>);
        impl Drop for Runs {
            fn drop(&mut self) {
                self.1.lock().retain(|key| *key != self.0);
            }
        }
        let (known, seen) = (keys.clone(), running.clone());
        let running_all = tokio::spawn(async move {
            let task = move |key| {
                let seen = seen.clone();
                async move {
                    seen.lock().push(key);
                    let _runs = Runs(key, seen);
                    std::future::pending::<()>().await;
                }
            };
            run(move || known.lock().clone(), task, changed, shutdown).await;
        });
        let are = async |expected: &[i32]| {
            while *running.lock() != expected {
                tokio::task::yield_now().await;
            }
        };
        are(&[1, 2]).await;
        *keys.lock() = vec![2, 3];
        change.send_replace(());
        are(&[2, 3]).await;
        stop.send_replace(true);
        running_all.await.unwrap();
        are(&[]).await;
    }
}
