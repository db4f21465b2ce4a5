//! `tinyscale replay`: reads a trace, runs it, writes what came of it. Prints nothing itself.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::cluster::placement::Policy;
use crate::config::Source;
use crate::config::fleet::{self, Fleet};
use crate::config::settings::{BalanceSettings, ProbeSettings};
use crate::replay::ours::{Ours, specs};
use crate::replay::trace::Trace;
use crate::replay::{Setup, chart, report};

/// What a replay is asked to do.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The trace: CSV with the columns time_s,event,meeting,people,video and the events create, join (people
    /// join), leave and end
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
    /// How many servers, or a file that lists them: servers.json, or YAML like the configuration
    #[arg(long, value_name = "N|FILE")]
    servers: String,
    /// expected_load, round_robin or least_meetings; default: what the configuration says
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    policy: Option<Policy>,
    /// Servers are polled at moments that follow from it
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Folder for decisions.csv, load.csv, summary.txt and people.svg
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

const SERVERS_MAX: usize = 10_000;

fn policy(name: &str) -> Result<Policy, String> {
    let names = Policy::ALL.map(Policy::name).join(", ");
    Policy::of_name(name).ok_or_else(|| format!("not one of {names}"))
}

/// Runs it; the summary.
pub(crate) fn run(args: &Args, config: Option<&Path>) -> anyhow::Result<String> {
    let fleet = fleet(&args.servers, config)?;
    let shown = args.trace.display();
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("the folder {} cannot be made", args.out.display()))?;
    let unreadable = || format!("the trace {shown} cannot be read");
    let file = std::fs::File::open(&args.trace).with_context(unreadable)?;
    let trace = Trace::read(&mut BufReader::new(file), &args.trace).with_context(unreadable)??;
    let names: Vec<String> = fleet.servers.iter().map(|spec| spec.name.to_string()).collect();
    let policy = args.policy.unwrap_or(fleet.balance.policy);
    let setup = Setup {
        servers: names.len(),
        poll_interval_ms: u64::try_from(fleet.probe.interval.as_millis())?,
        seed: args.seed,
        measured_from_ms: 0,
    };
    let balance = BalanceSettings { policy, ..fleet.balance };
    let mut ours = Ours::new(fleet.servers, &balance, &fleet.probe);
    let outcome = crate::replay::run(&trace, &setup, &mut ours);

    let hottest = names.get(outcome.peak.server).map_or("", String::as_str);
    let title = format!("people per server, {}; red: {hottest}, the fullest one", policy.name());
    let summary = report::summary(&trace, &names, policy.name(), &outcome);
    for (name, text) in [
        ("decisions.csv", report::decisions_csv(&trace, &names, &outcome)),
        ("load.csv", report::load_csv(&names, &outcome)),
        ("summary.txt", summary.clone()),
        ("people.svg", chart::people_over_time(&[(title.as_str(), &outcome.load)], names.len())),
    ] {
        let path = args.out.join(name);
        std::fs::write(&path, text)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(summary)
}

/// The servers that were asked for; placement settings of `config`, else of the file with the servers.
fn fleet(servers: &str, config: Option<&Path>) -> anyhow::Result<Fleet> {
    let directory = std::env::current_dir().context("the working directory cannot be used")?;
    let source = Source { yaml: None, directory: &directory, env: &|_| None };
    let settings = config.map(|path| fleet::read(&source, path)).transpose()?;
    let mut fleet = match servers.parse::<usize>() {
        Ok(count) if (1..=SERVERS_MAX).contains(&count) => Fleet {
            servers: specs(count),
            balance: BalanceSettings::default(),
            probe: ProbeSettings::default(),
        },
        Ok(_) => {
            return Err(anyhow!("--servers: write a number from 1 to {SERVERS_MAX}, or a file"));
        }
        Err(_) => fleet::read(&source, Path::new(servers))?,
    };
    if fleet.servers.is_empty() {
        return Err(anyhow!(
            "{servers}: there are no servers in this file; write a list `servers`"
        ));
    }
    if let Some(settings) = settings {
        (fleet.balance, fleet.probe) = (settings.balance, settings.probe);
    }
    Ok(fleet)
}
