//! Pingora's server around the services, and how it is left: at once, when all is finished, or to another
//! process.

use std::time::Duration;

use anyhow::Context;
use pingora_core::server::configuration::Opt;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::background::background_service;
use tokio::sync::watch;

use crate::app::App;
use crate::app::admin::Operators;
use crate::app::listen::Bound;
use crate::app::stop::{Listening, Passed, Signals, Told};
use crate::app::upgrade::Heir;

/// Services that run.
pub(crate) struct Serving {
    tell: watch::Sender<bool>,
    closing: watch::Receiver<bool>,
}

/// How a process was left to its heir.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// The heir serves, and here is nothing more to do.
    Well,
    /// The heir is gone.
    Alone,
}

impl Serving {
    /// Starts everything on `bound`, which stays open whatever becomes of it.
    pub(crate) fn start(
        app: &App,
        bound: &Bound,
        admin: Option<Operators>,
    ) -> anyhow::Result<Self> {
        app.trust.prepare();
        let mut server = Server::new_with_opt_and_conf(Opt::default(), app.server_conf());
        server.bootstrap();
        let gateway = Some(app.gateway(&server.configuration)?);
        let (closed, closing) = watch::channel(false);
        let bound = bound.again().context("cannot use the listeners")?;
        let doors = bound.into_doors(app.certificates(), app.state())?;
        let state = app.state().clone();
        server.add_service(Listening { app: gateway, doors, state, closed });
        server.add_service(background_service("background", app.background()?));
        if let Some(admin) = admin {
            log::info!("operators are answered at {}", admin.address());
            server.add_service(background_service("admin", admin));
        }
        let (tell, told) = watch::channel(false);
        // A thread of its own, because it sleeps through the grace period.
        let pingora = std::thread::Builder::new().name("pingora".to_owned());
        pingora
            .spawn(|| server.run(RunArgs { shutdown_signal: Box::new(Told(told)) }))
            .context("cannot start a thread")?;
        Ok(Self { tell, closing })
    }

    /// Resolves when no request will come any more.
    pub(crate) async fn closed(&mut self) {
        // An error means that the service has ended, which is what is waited for.
        let _ = self.closing.wait_for(|closed| *closed).await;
    }

    /// Accepts nothing more and resolves when all is finished, or the grace period is over.
    pub(crate) async fn finish(mut self, app: &App, signals: &mut Signals) {
        app.systemd().stopping();
        self.tell.send_replace(true);
        let grace = app.settings().grace_period;
        tokio::select! {
            () = self.finished(app) => log::info!("stopped; nothing is left to finish"),
            () = tokio::time::sleep(grace) => cut_off(app),
            () = signals.stop_now() => {}
        }
    }

    /// Leaves all that comes to `heir`, and finishes what has begun. If the heir is gone before that, everything
    /// has to be started again.
    pub(crate) async fn leave_to(
        mut self,
        mut heir: Heir,
        app: &App,
        signals: &mut Signals,
    ) -> Left {
        let grace: Duration = app.settings().grace_period;
        log::info!("the new process took over; pid={}", heir.pid());
        let connections = app.state().connections();
        connections.leave(true);
        self.tell.send_replace(true);
        let mut over = std::pin::pin!(tokio::time::sleep(grace));
        let mut stopping = false;
        let left = loop {
            tokio::select! {
                () = self.finished(app), if !stopping => {
                    log::info!("the new process serves; nothing is left to finish here");
                    break Left::Well;
                }
                () = &mut over, if !stopping => {
                    cut_off(app);
                    break Left::Well;
                }
                () = heir.gone() => {
                    break if stopping { Left::Well } else { Left::Alone };
                }
                passed = signals.passed() => match passed {
                    Passed::Now => break Left::Well,
                    Passed::On(signal) => {
                        stopping |= signal.ends();
                        heir.signal(signal);
                    }
                }
            }
        };
        if left == Left::Well {
            if !stopping {
                app.systemd().main_process_is(heir.pid());
            }
        } else {
            log::error!("the new process is gone: this one accepts connections again");
            connections.leave(false);
            heir.bury();
        }
        left
    }

    async fn finished(&mut self, app: &App) {
        self.closed().await;
        app.state().in_flight().none().await;
    }
}

fn cut_off(app: &App) {
    match app.state().in_flight().count() {
        0 => log::info!("stopped; connections that nobody used were closed"),
        count => log::warn!("stopped; cut_off={count} reason=the grace period is over"),
    }
}
