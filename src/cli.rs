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

use crate::app::notify::Systemd;
use crate::app::reload::Watched;
use crate::app::roll_call::RollCall;
use crate::app::serve::{Audience, Origin};
use crate::app::upgrade::{Predecessor, Program, TAKE_OVER, Voice};
use crate::app::{App, control, limits, serve};
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
    /// With -t: also ask every server, as at a start
    #[arg(long, global = true)]
    online: bool,
    /// Do not start while a server cannot be reached
    #[arg(long)]
    strict: bool,
    /// Take over from the process at the other end of the standard input; only tinyscale itself says so
    #[arg(long, hide = true)]
    take_over: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Take a changed configuration, whole or not at all; no connection is touched
    Reload(Found),
    /// Let a new process take over: a new version of the program, or settings that a reload cannot change
    Upgrade(Found),
    /// Only check the configuration, like -t
    Check,
    /// Place the meetings of a trace as in production, in virtual time and without any server
    Replay(replay::Args),
    /// Turn an access log into a trace for `replay`; meetings are hashes in it
    Trace(trace::Args),
}

/// How a running process is found.
#[derive(Debug, Clone, clap::Args)]
struct Found {
    /// Its `process.run_dir` [default: as configured, else /run/tinyscale]
    #[arg(long, value_name = "FOLDER")]
    run_dir: Option<PathBuf>,
}

/// What says most without a configuration file.
const SERVERS: &str = "servers.json";

/// Where a service finds its process unless it is configured otherwise.
const RUN_DIR: &str = "/run/tinyscale";

/// Runs the program with the process's arguments and environment.
pub fn run() -> ExitCode {
    let matches = Args::command().after_help(variables()).get_matches();
    let args = match <Args as clap::FromArgMatches>::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    let mut voice = None;
    match obey(&args, &mut voice) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            if let Some(voice) = voice {
                Voice::failed(voice, &wrong);
            }
            say(std::io::stderr(), wrong.trim_end());
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for, or says what is wrong.
fn obey(args: &Args, voice: &mut Option<Voice>) -> Result<(), String> {
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
    let asked = match &args.command {
        Some(Command::Reload(found)) => Some(("reload", found)),
        Some(Command::Upgrade(found)) => Some(("upgrade", found)),
        Some(Command::Replay(_) | Command::Trace(_) | Command::Check) | None => None,
    };
    if let Some((what, found)) = asked {
        let answer = control::ask(&run_dir(args, found), what)?;
        say(std::io::stdout(), answer.trim_end());
        return Ok(());
    }
    let program = program();
    let predecessor = if args.take_over { Some(predecessor(voice)?) } else { None };
    let file = Watched::now(args.config.clone().unwrap_or_else(|| PathBuf::from(SERVERS)));
    let settings = settings(args)?;
    // Pingora and reqwest must agree on one; Pingora knows only this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |error: anyhow::Error| format!("tinyscale: {error:#}");
    let app = App::new(settings).map_err(failed)?;
    app.tell(Systemd::of(
        std::env::var_os("NOTIFY_SOCKET").as_deref(),
        std::env::var("WATCHDOG_USEC").ok().as_deref(),
    ));
    let again = args.clone();
    app.read_from(Box::new(move || self::settings(&again)), Some(file));
    if args.test || matches!(args.command, Some(Command::Check)) {
        if args.online {
            online(&app)?;
        }
        say(std::io::stdout(), "ok");
        show_certificates(&app);
        return Ok(());
    }
    log_to_stderr(level);
    log_panics();
    limits::raise_open_files();
    serve::run(&app, &Terminal, Origin { program, predecessor }).map_err(failed)
}

fn predecessor(voice: &mut Option<Voice>) -> Result<Predecessor, String> {
    let why = |why| format!("tinyscale: {TAKE_OVER} is only for tinyscale itself: {why}");
    let predecessor = Predecessor::greet().map_err(why)?;
    *voice = Some(predecessor.voice().map_err(why)?);
    Ok(predecessor)
}

fn run_dir(args: &Args, found: &Found) -> PathBuf {
    let env = |name: &str| std::env::var(name).ok();
    let directory = std::env::current_dir().unwrap_or_default();
    let source = Source { yaml: args.config.as_deref(), directory: &directory, env: &env };
    let found = found.run_dir.clone().or_else(|| config::run_dir(&source));
    found.unwrap_or_else(|| PathBuf::from(RUN_DIR))
}

/// Asks every server and shows what they say; fails unless all answer as they should.
fn online(app: &App) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| format!("tinyscale: cannot start: {why}"))?;
    let calls = runtime.block_on(app.roll_call()).map_err(|why| format!("tinyscale: {why:#}"))?;
    // A look-up that hangs in the system's resolver must not hold the end up.
    runtime.shutdown_background();
    say(std::io::stdout(), calls.to_string().trim_end());
    match calls.0.iter().filter(|row| row.meetings.is_err()).count() {
        0 => Ok(()),
        bad => Err(format!(
            "tinyscale: {bad} of {} servers do not answer as they should",
            calls.0.len()
        )),
    }
}

/// How this process was started. Looked up at the start: later the file may be another one's.
fn program() -> Program {
    let mut args = std::env::args_os();
    let name = PathBuf::from(args.next().unwrap_or_default());
    let found = if name.components().count() > 1 {
        // A relative one begins where it was started.
        std::env::current_dir().ok().map(|folder| folder.join(&name))
    } else {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let files = std::env::split_paths(&folders).map(|folder| folder.join(&name));
        files.into_iter().find(|file| file.is_file())
    };
    let path = found.or_else(|| std::env::current_exe().ok()).unwrap_or(name);
    Program { path, args: args.filter(|arg| arg != TAKE_OVER).collect() }
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
