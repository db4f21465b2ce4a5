//! The command line: what was asked for, what is shown, and the exit code. The only place that prints.

mod replay;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::app::{App, serve};
use crate::config::environment::VARIABLES;
use crate::config::settings::Settings;
use crate::config::{self, Source};

/// One URL in front of several BigBlueButton servers.
///
/// Without a configuration file it reads servers.json in this folder and the secret in TINYSCALE_SECRET.
#[derive(Debug, Parser)]
#[command(name = "tinyscale", version, about)]
struct Args {
    /// Configuration file (see conf/tinyscale.yaml)
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Only check the configuration: says ok, or all that is wrong
    #[arg(short, long)]
    test: bool,
    /// Do not start while a server cannot be reached
    #[arg(long)]
    strict: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Only check the configuration, like -t
    Check,
    /// Place the meetings of a trace as in production, in virtual time and without any server
    Replay(replay::Args),
}

/// Runs the program with the process's arguments and environment.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line")]
pub fn run() -> ExitCode {
    let matches = Args::command().after_help(variables()).get_matches();
    let args = match <Args as clap::FromArgMatches>::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    if let Some(Command::Replay(replay)) = &args.command {
        return match replay::run(replay, args.config.as_deref()) {
            Ok(summary) => {
                print!("{summary}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let mut settings = match settings(args.config.as_deref()) {
        Ok(settings) => settings,
        Err(problems) => {
            eprintln!("{}", problems.trim_end());
            return ExitCode::FAILURE;
        }
    };
    if args.test || matches!(args.command, Some(Command::Check)) {
        println!("ok");
        return ExitCode::SUCCESS;
    }
    settings.strict |= args.strict;
    log_to_stderr();
    match start(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tinyscale: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn settings(config: Option<&Path>) -> Result<Settings, String> {
    let directory = std::env::current_dir()
        .map_err(|error| format!("tinyscale: the working directory cannot be used: {error}"))?;
    // A variable that is no Unicode counts as not set: none that is read can be.
    let env = |name: &str| std::env::var(name).ok();
    config::load(&Source { yaml: config, directory: &directory, env: &env })
        .map_err(|problems| problems.to_string())
}

#[expect(clippy::print_stdout, reason = "the operator reads this")]
fn start(settings: Settings) -> anyhow::Result<()> {
    // Pingora and reqwest must agree on one; Pingora knows only this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let app = App::new(settings);
    serve::roll_call(&app, |calls| print!("{calls}"))?;
    let addresses: Vec<String> = app.settings().listen.iter().map(ToString::to_string).collect();
    serve::serve(&app, || println!("listening on {}", addresses.join(", ")))
}

/// Our own lines at the level of `TINYSCALE_LOG`, other crates' from warnings up and never below: their
/// details hold whole requests, and with them checksums and names.
fn log_to_stderr() {
    let wanted = std::env::var("TINYSCALE_LOG").ok();
    let level = wanted.and_then(|level| level.parse().ok()).unwrap_or(log::LevelFilter::Info);
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Warn.min(level))
        .filter_module("tinyscale", level)
        .init();
}

fn variables() -> String {
    let width = VARIABLES.iter().map(|variable| variable.name.len()).max().unwrap_or_default();
    let mut text = "Environment (each also a key of the configuration file):\n".to_owned();
    for variable in VARIABLES {
        let default = match variable.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        text.push_str(&format!("  {:width$}  {}{default}\n", variable.name, variable.meaning));
    }
    let log = "how much is logged: error, warn, info, debug, trace";
    text.push_str(&format!("  {:width$}  {log} [default: info]\n", "TINYSCALE_LOG"));
    text
}
