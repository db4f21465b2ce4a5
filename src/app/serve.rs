//! Runs it as a process: roll call, listeners, signals, Pingora's server.

use anyhow::{Context, bail};
use pingora_core::server::configuration::Opt;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::background::background_service;
use tokio::sync::watch;

use crate::app::App;
use crate::app::admin::Operators;
use crate::app::listen::Bound;
use crate::app::reload::Reloading;
use crate::app::roll_call::RollCall;
use crate::app::stop::{Listening, Signals, Stop, Told};

/// What an operator who watches the start is told.
pub trait Audience {
    /// How every server answered.
    fn roll_call(&self, calls: &RollCall);
    /// Connections are accepted at these addresses.
    fn listening(&self, addresses: &[String]);
}

/// Asks every server once and serves until a signal ends it. Fails if an address cannot be listened on, if a
/// server has another secret than configured, or, when `strict`, if one does not answer.
pub fn run(app: &App, audience: &dyn Audience) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        // Before the servers are asked, because it takes no time and is the more usual mistake.
        let bound = Bound::to(&app.settings().listen)?;
        let admin = app.bind_admin()?;
        tokio::select! {
            called = roll_call(app, audience) => called?,
            _ = signals.stop(too_early) => return Ok(()),
        }
        serve(app, bound, admin, audience, signals).await
    });
    // A look-up that hangs in the system's resolver must not hold the end up.
    runtime.shutdown_background();
    ended
}

async fn roll_call(app: &App, audience: &dyn Audience) -> anyhow::Result<()> {
    app.open_store().await;
    let calls = app.roll_call().await?;
    audience.roll_call(&calls);
    let wrong: Vec<&str> =
        calls.0.iter().filter(|row| row.has_wrong_secret()).map(|row| row.name.as_str()).collect();
    if !wrong.is_empty() {
        bail!(
            "wrong secret for {}: set the one that `bbb-conf --secret` shows on that server (if it is \
             the same, the server may want another `checksum`)",
            wrong.join(", ")
        );
    }
    let silent: Vec<&str> =
        calls.0.iter().filter(|row| row.meetings.is_err()).map(|row| row.name.as_str()).collect();
    if app.settings().strict && !silent.is_empty() {
        bail!("no answer from {}, and a strict start was asked for", silent.join(", "));
    }
    if silent.len() == calls.0.len() {
        log::warn!("no server can be reached; there can be no meetings until one is");
    }
    Ok(())
}

async fn serve(
    app: &App,
    bound: Bound,
    admin: Option<Operators>,
    audience: &dyn Audience,
    mut signals: Signals,
) -> anyhow::Result<()> {
    app.trust.prepare();
    let mut server = Server::new_with_opt_and_conf(Opt::default(), app.server_conf());
    server.bootstrap();
    let addresses: Vec<String> = bound.addresses().map(ToString::to_string).collect();
    let doors = bound.into_doors(app.certificates())?;
    let (closed, mut closing) = watch::channel(false);
    let gateway = Some(app.gateway(&server.configuration)?);
    server.add_service(Listening { app: gateway, doors, closed });
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
    let reloading = Reloading::start(app)?;
    audience.listening(&addresses);
    let stop = tokio::select! {
        stop = signals.stop(|| {
            app.look_at_certificates();
            reloading.ask();
        }) => stop,
        // Without listeners the process would be of no use, and nobody would notice.
        _ = closing.wait_for(|closed| *closed) => bail!("the listeners have failed"),
    };
    if stop == Stop::Now {
        return Ok(());
    }
    tell.send_replace(true);
    let in_flight = app.state().in_flight();
    let finished = async {
        // An error means that the service has ended, which is what is waited for.
        let _ = closing.wait_for(|closed| *closed).await;
        in_flight.none().await;
    };
    tokio::select! {
        () = finished => log::info!("stopped; nothing is left to finish"),
        () = tokio::time::sleep(app.settings().grace_period) => {
            log::warn!("stopped; cut_off={} reason=the grace period is over", in_flight.count());
        }
        () = signals.stop_now() => {}
    }
    Ok(())
}
/// The configuration that is being used was read a moment ago.
fn too_early() {
    log::warn!("a reload was asked for before the start was over: ignored");
}
