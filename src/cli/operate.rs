//! What an operator does to a tinyscale that runs: see all servers, empty one, find a meeting. All of it goes
//! through the admin API.

mod drain;
mod show;
mod until;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};

use crate::bbb::secret::Secret;
use crate::cli::say;
use crate::client::admin::{Failure, Operator};
use crate::cluster::server::{Mode, ServerName};
use crate::config::settings::Address;
use crate::config::settings::admin::ADDRESS;
use crate::config::{self, Source};

/// The token, unless a file has it.
pub(super) const TOKEN: &str = "TINYSCALE_ADMIN_TOKEN";

#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum Command {
    /// All servers: what they are used for, how they are, and who is there
    Status(How),
    /// Take no new meetings to a server; those it has go on until they end
    Drain(drain::Args),
    /// Use a server again after drain or disable
    Serve(One),
    /// Do not use a server at all, not even for the meetings it has
    Disable(One),
    /// Say that a server that does not answer is lost: its meetings are made anew elsewhere
    GiveUp(One),
    /// What happened lately, the newest last
    Events(How),
    /// Which meetings went where lately and why, the newest last
    Placements(How),
    /// Ask about a meeting
    #[command(subcommand)]
    Meeting(Meeting),
}

#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum Meeting {
    /// On which server it is
    Find {
        /// As the front end calls it, or its internal ID
        id: String,
        #[command(flatten)]
        how: How,
    },
}

/// How to ask, and how to answer.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct How {
    /// Answer in JSON, as the admin API does
    #[arg(long)]
    json: bool,
    /// A file that holds a token of `admin.tokens`; or TINYSCALE_ADMIN_TOKEN holds the token itself
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct One {
    /// What the server is called
    #[arg(value_parser = ServerName::new)]
    server: ServerName,
    #[command(flatten)]
    how: How,
}

/// Does it; an error is a sentence for whoever typed it.
pub(super) fn run(command: &Command, config: Option<&Path>) -> Result<ExitCode, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("tinyscale: cannot start: {error}"))?;
    runtime.block_on(obey(command, config))
}

async fn obey(command: &Command, config: Option<&Path>) -> Result<ExitCode, String> {
    let desk = Desk::new(command.how(), config)?;
    let done = match command {
        Command::Drain(args) => return drain::run(args, &desk).await,
        Command::Status(_) => {
            let answer = desk.get("/api/v1/servers").await?;
            (show::status(&answer), answer)
        }
        Command::Serve(one) => desk.set(one, Mode::Serve).await?,
        Command::Disable(one) => desk.set(one, Mode::Disable).await?,
        Command::GiveUp(one) => {
            let path = format!("/api/v1/servers/{}/give-up", one.server);
            let answer = desk.ask(Method::POST, &path, None).await?;
            let lost = &answer["lost_meetings"];
            (format!("{} is given up; {lost} meetings are lost", one.server), answer)
        }
        Command::Events(_) => {
            let answer = desk.get("/api/v1/events").await?;
            (show::events(&answer), answer)
        }
        Command::Placements(_) => {
            let answer = desk.get("/api/v1/placements").await?;
            (show::placements(&answer), answer)
        }
        Command::Meeting(Meeting::Find { id, .. }) => {
            let body = json!({ "id": id });
            let answer = desk.ask(Method::POST, "/api/v1/meetings/find", Some(&body)).await?;
            (show::meeting(&answer), answer)
        }
    };
    desk.show(&done.0, &done.1);
    Ok(ExitCode::SUCCESS)
}

impl Command {
    fn how(&self) -> &How {
        match self {
            Self::Status(how) | Self::Events(how) | Self::Placements(how) => how,
            Self::Drain(args) => &args.how,
            Self::Serve(one) | Self::Disable(one) | Self::GiveUp(one) => &one.how,
            Self::Meeting(Meeting::Find { how, .. }) => how,
        }
    }
}

/// Where operators ask, and how they are answered.
struct Desk {
    operator: Operator,
    address: Address,
    json: bool,
}

impl Desk {
    fn new(how: &How, config: Option<&Path>) -> Result<Self, String> {
        let address = address(config)?;
        let token = token(how)?;
        let operator = Operator::new(&address, token.as_ref())
            .map_err(|failure| format!("tinyscale: {failure}"))?;
        Ok(Self { operator, address, json: how.json })
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask(Method::GET, path, None).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        self.operator.ask(method, path, body).await.map_err(|failure| self.words(&failure))
    }

    /// What is wrong, and what to do about it.
    fn words(&self, failure: &Failure) -> String {
        let at = &self.address;
        match failure {
            Failure::NoAnswer(why) => format!(
                "tinyscale: nobody answers at {at}: {why}\n  Is tinyscale running, with `admin: {{}}` in its \
                 configuration file? After that line was added it must be restarted.\n  If `admin` has \
                 another address, name the file: -c FILE"
            ),
            Failure::Refused { status: 401, .. } if self.operator.has_token() => format!(
                "tinyscale: the token is not one of `admin.tokens` of the tinyscale at {at}"
            ),
            Failure::Refused { status: 401, .. } => format!(
                "tinyscale: a token is needed: --token-file FILE with one of `admin.tokens`, or {TOKEN}"
            ),
            Failure::Refused { why, .. } => format!("tinyscale: {why}"),
            Failure::Stranger => format!("tinyscale: {at}: {failure}"),
        }
    }

    async fn set(&self, one: &One, mode: Mode) -> Result<(String, Value), String> {
        let body = json!({ "mode": mode.name() });
        let row = self.put_mode(&one.server, &body).await?;
        Ok((show::set(&row), row))
    }

    async fn put_mode(&self, server: &ServerName, body: &Value) -> Result<Value, String> {
        let path = format!("/api/v1/servers/{server}/mode");
        self.ask(Method::PUT, &path, Some(body)).await
    }

    /// The answer for people, or for programs.
    fn show(&self, text: &str, answer: &Value) {
        if self.json {
            say(std::io::stdout(), &format!("{answer:#}"));
        } else {
            say(std::io::stdout(), text.trim_end());
        }
    }
}

/// Where the configuration file says; without one, where it is unless somebody says otherwise.
fn address(config: Option<&Path>) -> Result<Address, String> {
    let Some(yaml) = config else { return Ok(Address::Ip(ADDRESS)) };
    let source = Source { yaml: Some(yaml), directory: Path::new(""), env: &|_| None };
    let address = config::admin_address(&source).map_err(|problems| problems.to_string())?;
    address.ok_or_else(|| {
        format!(
            "tinyscale: nobody can ask this tinyscale anything, because {} has no `admin`\n  Add the line \
             `admin: {{}}` to it, then restart tinyscale.",
            yaml.display()
        )
    })
}

fn token(how: &How) -> Result<Option<Secret>, String> {
    let (text, from) = match &how.token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                format!("tinyscale: the token file {} cannot be read: {error}", path.display())
            })?;
            (text, path.display().to_string())
        }
        None => match std::env::var(TOKEN) {
            Ok(text) if !text.is_empty() => (text, TOKEN.to_owned()),
            Ok(_) | Err(std::env::VarError::NotPresent) => return Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(format!("environment variable {TOKEN}: is not text in UTF-8 encoding"));
            }
        },
    };
    let secret = Secret::new(text.trim());
    secret.map(Some).map_err(|_| format!("tinyscale: {from} holds no token"))
}
