//! Runs it as a process: roll call, listeners, signals, Pingora's server.

use std::sync::Arc;

use anyhow::bail;
use async_trait::async_trait;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::configuration::{Opt, ServerConf};
use pingora_core::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora_core::services::background::background_service;
use pingora_core::services::listening::Service;
use pingora_proxy::HttpProxy;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::listen::Bound;
use crate::app::roll_call::RollCall;
use crate::app::{App, server_conf};
use crate::gateway::Gateway;

/// What a header and a small body need together, so that an answer leaves in one piece: 20 % less work per
/// answer than Pingora's 1460 bytes.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// Kept per connection; headers of usual calls fit.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Asks every server once. Fails if one has another secret than configured, or, when `strict`, if one does not
/// answer; `show` gets the table in any case.
pub fn roll_call(app: &App, show: impl FnOnce(&RollCall)) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let calls = runtime.block_on(async {
        app.open_store().await;
        app.roll_call().await
    })?;
    show(&calls);
    let wrong: Vec<&str> =
        calls.0.iter().filter(|row| row.has_wrong_secret()).map(|row| row.name.as_str()).collect();
    if !wrong.is_empty() {
        bail!(
            "wrong secret for {}: set the one that `bbb-conf --secret` shows on that server",
            wrong.join(", ")
        );
    }
    let silent: Vec<&str> =
        calls.0.iter().filter(|row| row.meetings.is_err()).map(|row| row.name.as_str()).collect();
    if app.settings().strict && !silent.is_empty() {
        bail!("no answer from {} and --strict was given", silent.join(", "));
    }
    Ok(())
}

/// Serves until a signal ends it. `ready` is told just before the first connection is accepted.
pub fn serve(app: &App, ready: impl FnOnce()) -> anyhow::Result<()> {
    let conf = server_conf(app.settings());
    // Bound and let go: Pingora binds again in a moment, but does not stop if it cannot.
    let addresses: Vec<String> =
        Bound::to(&app.settings().listen)?.addresses().map(str::to_owned).collect();
    let mut server = Server::new_with_opt_and_conf(Opt::default(), conf);
    server.bootstrap();
    let mut gateway = app.gateway(&server.configuration)?;
    for address in &addresses {
        add_listener(&mut gateway, address);
    }
    server.add_service(gateway);
    server.add_service(background_service("background", app.background()?));
    ready();
    server.run(RunArgs { shutdown_signal: Box::new(Signals) });
    Ok(())
}

/// Adds an address with the buffers and bounds that suit the API.
pub fn add_listener(gateway: &mut Service<HttpProxy<Gateway>>, address: &str) {
    let buffers = L4BufferSettings::default().read(READ_BUFFER_BYTES).write(WRITE_BUFFER_BYTES);
    gateway.add_listener(ListenerConfig::tcp(address).l4_buffer(buffers));
}

/// Pingora's settings shared by every service of one process.
pub fn shared_conf(app: &App) -> Arc<ServerConf> {
    Arc::new(server_conf(app.settings()))
}

/// Which signal asks for what.
struct Signals;

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let on = |kind: SignalKind| signal(kind).ok();
        let (mut term, mut int) = (on(SignalKind::terminate()), on(SignalKind::interrupt()));
        let (mut quit, mut hup) = (on(SignalKind::quit()), on(SignalKind::hangup()));
        loop {
            tokio::select! {
                () = next(&mut term) => {
                    log::info!("stopping: open requests may finish; signal=TERM");
                    return ShutdownSignal::GracefulTerminate;
                }
                () = next(&mut quit) => {
                    log::info!("stopping: open requests may finish; signal=QUIT");
                    return ShutdownSignal::GracefulTerminate;
                }
                () = next(&mut int) => {
                    log::info!("stopping at once; signal=INT");
                    return ShutdownSignal::FastShutdown;
                }
                // Its default would end the process.
                () = next(&mut hup) => {
                    log::warn!("a reload was asked for; this version needs a restart for that; signal=HUP");
                }
            }
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
