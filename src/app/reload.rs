//! Another configuration for what runs: taken whole or not at all (design rule 10). No connection is touched,
//! and requests that have begun end with the configuration that they began with.
//!
//! Servers are matched by name, or by URL if a name is new: a server keeps its meetings whatever else changes.
//! One that is no longer configured goes when its meetings have ended.

mod changes;

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use anyhow::Context;
use parking_lot::Mutex;

use crate::app::{App, Fleet, callbacks, called};
use crate::clock;
use crate::cluster::server::ServerId;
use crate::config::settings::{ServerSettings, Settings};

/// Reads the configuration anew, or says all that is wrong with it.
pub type Reader = Box<dyn Fn() -> Result<Settings, String> + Send + Sync>;

/// What a reload did, in sentences for an operator. None holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What is different now.
    pub changed: Vec<String>,
    /// What was written and takes effect only with a new process.
    pub later: Vec<String>,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

/// How a reload ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// When, in seconds since 1970.
    pub at_unix_s: u64,
    /// What it did, or why everything stays as it was.
    pub outcome: Result<Report, String>,
}

/// The configuration's source and what came of it so far.
#[derive(Default)]
pub(crate) struct Reloads {
    reader: Mutex<Option<Reader>>,
    last: Mutex<Option<Reload>>,
}

impl App {
    /// Names where [`Self::reload`] reads the configuration.
    pub fn read_from(&self, reader: Reader) {
        *self.reloads.reader.lock() = Some(reader);
    }

    /// The last reload, if there was one.
    pub fn last_reload(&self) -> Option<Reload> {
        self.reloads.last.lock().clone()
    }

    /// Reads the configuration anew and takes it. Whatever is wrong with it, everything stays as it was, and the
    /// log says so. Blocks while files are read.
    pub fn reload(&self) -> Reload {
        // One at a time; the next one reads what is written then.
        let reader = self.reloads.reader.lock();
        let outcome = match &*reader {
            None => Err("there is nowhere to read it from".to_owned()),
            Some(read) => read()
                .and_then(|wanted| self.take(wanted).map_err(|why| format!("tinyscale: {why:#}"))),
        };
        match &outcome {
            Ok(report) => report.log(),
            Err(why) => {
                log::error!(
                    "the new configuration is not used, the one before stays in force, because of:"
                );
                for line in why.lines() {
                    log::error!("{}", line.trim());
                }
            }
        }
        let reload = Reload { at_unix_s: clock::unix_s(), outcome };
        *self.reloads.last.lock() = Some(reload.clone());
        reload
    }

    /// Takes `wanted` from now on. If it fails, nothing has changed.
    pub fn take(&self, wanted: Settings) -> anyhow::Result<Report> {
        let mut fleet = self.fleet.lock();
        let before = self.settings();
        let (settings, later) = changes::keep_what_must_stay(&before, wanted);
        let mut report = Report { later, ..Report::default() };
        report.changed = changes::in_words(&before, &settings);

        // First everything that can fail.
        self.trust.covers(&settings.servers)?;
        let plan = self.plan(&fleet, &settings.servers);
        let called_anew: Fleet = plan.all().collect();
        let connect = settings.timeouts.connect;
        let ways = self.lines.ways(called(&called_anew), connect, self.trust.system())?;
        let gateway = match self.live.get() {
            Some(live) => Some((live, live.now().renewed(&settings, called(&called_anew))?)),
            None => None,
        };

        // Whoever learns of a server finds the way to it.
        self.lines.put(ways);
        if let Some((live, gateway)) = gateway {
            live.replace(gateway);
        }
        if let Some(outbox) = &self.outbox {
            outbox.set_keyring(callbacks::keyring(&settings));
        }
        self.change_rules(&before, &settings);
        self.change_servers(&plan, &mut report);
        *fleet = called_anew;
        self.settings.send_replace(Arc::new(settings));
        Ok(report)
    }

    fn plan(&self, fleet: &Fleet, wanted: &[ServerSettings]) -> Plan {
        let cluster = self.state.cluster();
        let mut rest: Fleet = fleet.clone();
        rest.retain(|(id, _)| cluster.member(*id).is_some());
        let mut next = cluster.next_server();
        let mut plan = Plan::default();
        let mut unmatched = Vec::new();
        for server in wanted {
            match rest.iter().position(|(_, known)| known.spec.name == server.spec.name) {
                Some(at) => plan.stay.push((rest.remove(at), server.clone())),
                None => unmatched.push(server),
            }
        }
        for server in unmatched {
            match rest.iter().position(|(_, known)| known.spec.url == server.spec.url) {
                Some(at) => plan.stay.push((rest.remove(at), server.clone())),
                None => {
                    plan.come.push((next, server.clone()));
                    next = ServerId(next.0 + 1);
                }
            }
        }
        plan.go = rest;
        plan
    }

    fn change_rules(&self, before: &Settings, after: &Settings) {
        let now = self.state.now();
        let mut cluster = self.state.cluster();
        cluster.set_rules(after.balance.rules(&after.probe), now);
        let kind = |settings: &Settings| {
            (settings.balance.policy, settings.balance.weights.two_giants.to_bits())
        };
        // Another one of the same kind would forget whose turn it is.
        if kind(before) != kind(after) {
            let weights = &after.balance.weights;
            cluster.set_placement(after.balance.policy.placement(weights.two_giants));
        }
    }

    fn change_servers(&self, plan: &Plan, report: &mut Report) {
        for ((id, before), after) in &plan.stay {
            self.state.welcome_back(*id);
            if !changes::is_same(before, after) {
                self.state.change_server(*id, Arc::new(after.spec.clone()));
            }
        }
        for (expected, server) in &plan.come {
            let id = self.state.add_server(Arc::new(server.spec.clone()));
            debug_assert_eq!(id, *expected, "nobody else adds servers meanwhile");
        }
        for (id, server) in &plan.go {
            if let Some(farewell) = self.state.dismiss(*id) {
                report.warnings.extend(changes::farewell(server, farewell));
            }
        }
    }
}

/// Reloads on a thread of its own, so that signals and requests go on. Whoever asks while one is under way gets
/// another one after it; whoever asks more often gets no more than that.
pub(crate) struct Reloading(SyncSender<()>);

impl Reloading {
    /// Waits to be asked.
    pub(crate) fn start(app: &App) -> anyhow::Result<Self> {
        let (ask, asked) = std::sync::mpsc::sync_channel(1);
        let app = app.clone();
        let thread = std::thread::Builder::new().name("reload".to_owned());
        let work = move || {
            while asked.recv().is_ok() {
                app.reload();
            }
        };
        thread.spawn(work).context("cannot start a thread")?;
        Ok(Self(ask))
    }

    /// Asks for a reload.
    pub(crate) fn ask(&self) {
        // Full: one that begins later than now is asked for already.
        let _ = self.0.try_send(());
    }
}

/// What becomes of each server.
#[derive(Default)]
struct Plan {
    stay: Vec<((ServerId, ServerSettings), ServerSettings)>,
    come: Fleet,
    go: Fleet,
}

impl Plan {
    /// All that are called from now on.
    fn all(&self) -> impl Iterator<Item = (ServerId, ServerSettings)> {
        let stay = self.stay.iter().map(|((id, _), after)| (*id, after.clone()));
        stay.chain(self.come.iter().cloned()).chain(self.go.iter().cloned())
    }
}

impl Report {
    fn log(&self) {
        let changed =
            if self.changed.is_empty() { "nothing".to_owned() } else { self.changed.join("; ") };
        log::info!("the configuration was read anew; changed: {changed}");
        for warning in self.later.iter().chain(&self.warnings) {
            log::warn!("{warning}");
        }
    }
}
