//! Signals, and a stop that takes no longer than it must.
//!
//! Pingora closes the listeners and then sleeps through the whole grace period, even if nothing is left to
//! finish, and it listens to no further signal meanwhile. So it gets its signal from here, and here is also
//! decided when the process ends: as soon as nothing is in flight.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use pingora_core::apps::HttpServerApp;
use pingora_core::server::{ListenFds, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora_core::services::Service as PingoraService;
use pingora_proxy::HttpProxy;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::edge::door::Door;
use crate::gateway::live::Live;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Open requests may finish.
    Gracefully,
    /// At once.
    Now,
}

/// The signals of this process, from the moment it is made: before, their defaults hold.
pub(crate) struct Signals {
    term: Signal,
    quit: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// Takes the signals over; needs a runtime.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            term: on(SignalKind::terminate())?,
            quit: on(SignalKind::quit())?,
            int: on(SignalKind::interrupt())?,
            hup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that ends the process; calls `reload` for each that asks for it.
    pub(crate) async fn stop(&mut self, reload: impl Fn()) -> Stop {
        loop {
            tokio::select! {
                _ = self.term.recv() => {
                    log::info!("stopping; signal=TERM");
                    return Stop::Gracefully;
                }
                _ = self.quit.recv() => {
                    log::info!("stopping; signal=QUIT");
                    return Stop::Gracefully;
                }
                _ = self.int.recv() => {
                    log::info!("stopping at once; signal=INT");
                    return Stop::Now;
                }
                // Its default would end the process. Many at once are one.
                _ = self.hup.recv() => {
                    log::info!("reading the configuration anew; signal=HUP");
                    reload();
                }
            }
        }
    }

    /// Waits for one that ends a stop that has begun. The others ask for what is being done.
    pub(crate) async fn stop_now(&mut self) {
        self.int.recv().await;
        log::info!("stopping at once; signal=INT");
    }
}

/// Tells Pingora to stop when it is asked to.
pub(crate) struct Told(pub(crate) watch::Receiver<bool>);

#[async_trait]
impl ShutdownSignalWatch for Told {
    async fn recv(&self) -> ShutdownSignal {
        // An error means that the process is ending without it.
        let _ = self.0.clone().wait_for(|stop| *stop).await;
        ShutdownSignal::GracefulTerminate
    }
}

/// The service that answers the API, on listeners that are bound already.
pub(crate) struct Listening {
    /// What answers; taken by the start.
    pub(crate) app: Option<HttpProxy<Live>>,
    pub(crate) doors: Vec<Door>,
    /// Turns true when the listeners are closed and no request will come any more.
    pub(crate) closed: watch::Sender<bool>,
}

#[async_trait]
impl PingoraService for Listening {
    async fn start_service(
        &mut self,
        _fds: Option<ListenFds>,
        shutdown: ShutdownWatch,
        _listeners_per_fd: usize,
    ) {
        if let Some(app) = self.app.take() {
            serve(app, std::mem::take(&mut self.doors), shutdown).await;
        }
        self.closed.send_replace(true);
    }

    fn name(&self) -> &str {
        "tinyscale"
    }
}

/// Answers at all doors until `shutdown`, and then at none.
pub(crate) async fn serve(app: HttpProxy<Live>, doors: Vec<Door>, shutdown: ShutdownWatch) {
    let app = Arc::new(app);
    let open = doors.into_iter().map(|door| door.run(app.clone(), shutdown.clone()));
    futures::future::join_all(open.map(tokio::spawn)).await;
    // Connections that wait for their next request need wait no longer.
    app.http_cleanup().await;
}
