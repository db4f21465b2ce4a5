//! Runs it as a process: roll call, listeners, signals, and the order in which one process follows another.

use anyhow::{Context, bail};
use tokio::sync::{mpsc, oneshot};

use crate::app::App;
use crate::app::admin::Operators;
use crate::app::control::{Control, Outcome};
use crate::app::listen::Bound;
use crate::app::reload::Reloading;
use crate::app::roll_call::RollCall;
use crate::app::serving::{Left, Serving};
use crate::app::stop::{Asked, Signals, Stop};
use crate::app::upgrade::{Companion, Heir, Message, Predecessor, Program};

const NO_UPGRADE: &str = "no upgrade, this process goes on as before";

const UNDER_WAY: &str = "an upgrade is under way already";

/// What an operator who watches the start is told.
pub trait Audience {
    /// How every server answered.
    fn roll_call(&self, calls: &RollCall);
    /// Connections are accepted at these addresses.
    fn listening(&self, addresses: &[String]);
}

/// How the process came to be, and how the next one can be started.
pub struct Origin {
    /// How it was started.
    pub program: Program,
    /// What it takes over from, if from anything.
    pub predecessor: Option<Predecessor>,
}

/// Asks every server once and serves until a signal ends it. Fails if an address cannot be listened on, if a
/// server has another secret than configured, or, when `strict`, if one does not answer.
pub fn run(app: &App, audience: &dyn Audience, origin: Origin) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let Origin { program, predecessor } = origin;
        // Before the servers are asked, because it takes no time and is the more usual mistake.
        let (bound, companion) = begin(app, predecessor).await?;
        let companion = companion.map(|companion| companion.accompany(app));
        let admin = match &companion {
            None => app.bind_admin()?,
            Some(_) => app.admin_later(),
        };
        tokio::select! {
            called = roll_call(app, audience) => called?,
            _ = signals.stop(too_early) => return Ok(()),
        }
        serve(app, (bound, admin), audience, signals, (program, companion)).await
    });
    // A look-up that hangs in the system's resolver must not hold the end up.
    runtime.shutdown_background();
    ended
}

/// The listeners, new or taken over, and the store.
async fn begin(
    app: &App,
    predecessor: Option<Predecessor>,
) -> anyhow::Result<(Bound, Option<Companion>)> {
    let addresses = &app.settings().listen;
    let Some(predecessor) = predecessor else {
        let bound = Bound::to(addresses)?;
        app.open_store().await;
        return Ok((bound, None));
    };
    let (listeners, companion) = predecessor.inherit(app).await?;
    Ok((Bound::inherit(addresses, listeners)?, Some(companion)))
}

async fn roll_call(app: &App, audience: &dyn Audience) -> anyhow::Result<()> {
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

/// The configuration that is being used was read a moment ago.
fn too_early(asked: Asked) {
    log::warn!("{asked} was asked for before the start was over: ignored");
}

fn tell(whom: Option<oneshot::Sender<Outcome>>, outcome: Outcome) {
    // An error means that nobody waits any more.
    let _ = whom.map(|whom| whom.send(outcome));
}

async fn serve(
    app: &App,
    (bound, admin): (Bound, Option<Operators>),
    audience: &dyn Audience,
    mut signals: Signals,
    (program, companion): (Program, Option<mpsc::Sender<Message>>),
) -> anyhow::Result<()> {
    let (ask, mut asked) = mpsc::channel::<Option<oneshot::Sender<Outcome>>>(1);
    let takes_over = companion.is_some();
    let reloading = Reloading::start(app)?;
    tokio::spawn(reloading.clone().on_change(app.clone()));
    let obey = |what| match what {
        Asked::Reload => {
            app.look_at_certificates();
            reloading.ask();
        }
        // Full: one is asked for already.
        Asked::Upgrade => drop(ask.try_send(None)),
    };
    let busy = |what| match what {
        Asked::Reload => {
            app.look_at_certificates();
            reloading.ask();
        }
        Asked::Upgrade => log::warn!("{UNDER_WAY}"),
    };
    let mut serving = Serving::start(app, &bound, admin)?;
    let mut control = Control::open(app, &ask, takes_over)?;
    if let Some(companion) = companion {
        // An error means that the old process has ended already.
        let _ = companion.send(Message::Serving).await;
    }
    let addresses: Vec<String> = bound.addresses().map(ToString::to_string).collect();
    audience.listening(&addresses);
    app.systemd().ready(&addresses);
    tokio::spawn(app.systemd().watch(app.state().clone()));
    let stop = 'serving: loop {
        let wants_to_know = tokio::select! {
            stop = signals.stop(obey) => break stop,
            // Without listeners the process would be of no use, and nobody would notice.
            () = serving.closed() => bail!("the listeners have failed"),
            Some(asked) = asked.recv() => asked,
        };
        let mut raising = Box::pin(Heir::raise(app, &program, &bound));
        let raised = loop {
            tokio::select! {
                stop = signals.stop(busy) => break 'serving stop,
                raised = &mut raising => break raised,
                Some(other) = asked.recv() => tell(other, Err(UNDER_WAY.to_owned())),
            }
        };
        drop(raising);
        let outcome = raised.as_ref().map(Heir::pid);
        tell(wants_to_know, outcome.map_err(|why| format!("{NO_UPGRADE}: {why:#}")));
        match raised {
            Err(why) => log::error!("{NO_UPGRADE}: {why:#}"),
            Ok(heir) => match serving.leave_to(heir, app, &mut signals).await {
                Left::Well => return Ok(()),
                Left::Alone => {
                    serving = Serving::start(app, &bound, app.admin_later())?;
                    control = Control::open(app, &ask, true)?;
                }
            },
        }
    };
    drop(control);
    // Who comes now is refused.
    drop(bound);
    match stop {
        Stop::Now => {}
        Stop::Gracefully => serving.finish(app, &mut signals).await,
    }
    Ok(())
}
