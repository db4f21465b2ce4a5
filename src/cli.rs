//! The command line: what was asked for, what is shown, and the exit code. The only place that prints.
//!
//! What was asked for goes to standard output: ok, the table of servers, help. What went wrong, and the log,
//! go to standard error.

mod replay;
mod trace;

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::app::roll_call::RollCall;
use crate::app::serve::Audience;
use crate::app::{App, limits, serve};
use crate::config::environment::VARIABLES;
use crate::config::settings::Settings;
use crate::config::{self, Source};

/// How much is logged. Not a setting of the configuration file, because reading that one may be logged.
const LOG: &str = "TINYSCALE_LOG";

/// One URL in front of several BigBlueButton servers.
///
/// Without a configuration file it reads servers.json in this folder and the secret in TINYSCALE_SECRET.
#[derive(Debug, Clone, Parser)]
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

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Only check the configuration, like -t
    Check,
    /// Place the meetings of a trace as in production, in virtual time and without any server
    Replay(replay::Args),
    /// Turn an access log into a trace for `replay`; meetings are hashes in it
    Trace(trace::Args),
}

/// Runs the program with the process's arguments and environment.
pub fn run() -> ExitCode {
    let matches = Args::command().after_help(variables()).get_matches();
    let args = match <Args as clap::FromArgMatches>::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    match obey(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            say(std::io::stderr(), wrong.trim_end());
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for, or says what is wrong.
fn obey(args: &Args) -> Result<(), String> {
    let level = log_level(std::env::var_os(LOG).as_deref())?;
    if let Some(Command::Replay(replay)) = &args.command {
        let summary = replay::run(replay, args.config.as_deref());
        say(std::io::stdout(), summary.map_err(|wrong| format!("{wrong:#}"))?.trim_end());
        return Ok(());
    }
    if let Some(Command::Trace(trace)) = &args.command {
        // The trace may go to standard output.
        say(std::io::stderr(), &trace::run(trace).map_err(|wrong| format!("{wrong:#}"))?);
        return Ok(());
    }
    let settings = settings(args)?;
    // Pingora and reqwest must agree on one; Pingora knows only this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |error: anyhow::Error| format!("tinyscale: {error:#}");
    let app = App::new(settings).map_err(failed)?;
    let again = args.clone();
    app.read_from(Box::new(move || self::settings(&again)));
    if args.test || matches!(args.command, Some(Command::Check)) {
        say(std::io::stdout(), "ok");
        show_certificates(&app);
        return Ok(());
    }
    log_to_stderr(level);
    log_panics();
    limits::raise_open_files();
    serve::run(&app, &Terminal).map_err(failed)
}

fn settings(args: &Args) -> Result<Settings, String> {
    let config = args.config.as_deref();
    let directory = std::env::current_dir()
        .map_err(|error| format!("tinyscale: the working directory cannot be used: {error}"))?;
    let not_text = |name: &&str| std::env::var_os(name).is_some_and(|text| text.to_str().is_none());
    let variables = VARIABLES.iter().map(|variable| variable.name);
    if let Some(name) = variables.into_iter().find(not_text) {
        return Err(format!("environment variable {name}: is not text in UTF-8 encoding"));
    }
    let env = |name: &str| std::env::var(name).ok();
    let settings = config::load(&Source { yaml: config, directory: &directory, env: &env })
        .map_err(|problems| problems.to_string())?;
    Ok(Settings { strict: settings.strict || args.strict, ..settings })
}

/// What is known of the certificates, after `ok`.
fn show_certificates(app: &App) {
    for report in app.certificate_reports() {
        say(std::io::stdout(), &format!("certificate for {}", report.line));
        if let Some(warning) = report.warning {
            say(std::io::stderr(), &format!("warning: {warning}"));
        }
    }
}

/// The operator who started it and watches.
struct Terminal;

impl Audience for Terminal {
    fn roll_call(&self, calls: &RollCall) {
        say(std::io::stdout(), calls.to_string().trim_end());
    }

    fn listening(&self, addresses: &[String]) {
        say(std::io::stdout(), &format!("listening on {}", addresses.join(", ")));
    }
}

/// Prints a line. Unlike `println` it does not panic if nobody reads it any more.
fn say(mut to: impl Write, text: &str) {
    let _ = writeln!(to, "{text}");
}

fn log_level(wanted: Option<&OsStr>) -> Result<log::LevelFilter, String> {
    let text = match wanted.map(OsStr::to_str) {
        None | Some(Some("")) => return Ok(log::LevelFilter::Info),
        Some(text) => text.unwrap_or_default(),
    };
    text.trim().parse().map_err(|_| {
        format!(
            "environment variable {LOG}: is not a level\n  write instead: error, warn, info, debug, \
             trace or off"
        )
    })
}

/// Our own lines at the level of `TINYSCALE_LOG`; of other crates only warnings, and of Pingora only those that
/// are about listeners and the process: the others, of any level, may quote what a client sent, and with it
/// checksums and names.
fn log_to_stderr(level: log::LevelFilter) {
    let others = log::LevelFilter::Warn.min(level);
    env_logger::Builder::new()
        .filter_level(others)
        .filter_module("pingora", log::LevelFilter::Off)
        .filter_module("pingora_core::server", others)
        .filter_module("pingora_core::services", others)
        .filter_module("pingora_core::listeners", others)
        .filter_module("tinyscale", level)
        .init();
}

/// A panic becomes one line of the log that says where. What was wrong is told only if it is a fixed text: a
/// composed one may quote the request.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map_or_else(String::new, ToString::to_string);
        let why = panic.payload().downcast_ref::<&'static str>().copied();
        log::error!("panic; at={at} reason={}", why.unwrap_or("not told here"));
    }));
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
    text.push_str("\nOnly in the environment:\n");
    let log = "how much is logged: off, error, warn, info, debug, trace [default: info]";
    text.push_str(&format!("  {LOG:width$}  {log}\n"));
    for (name, meaning) in [
        ("SSL_CERT_FILE", "authorities trusted for https servers, instead of this machine's"),
        ("SSL_CERT_DIR", "the same, a folder of them"),
    ] {
        text.push_str(&format!("  {name:width$}  {meaning}\n"));
    }
    text
}
