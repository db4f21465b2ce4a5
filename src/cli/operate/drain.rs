//! `tinyscale drain`: asks for it, and waits for its end if it is told to.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::operate::{Desk, How, show, until};
use crate::cli::say;
use crate::clock;
use crate::cluster::server::ServerName;

/// The exit code for meetings that are left when the end of the drain has come.
const OVERDUE: u8 = 3;
/// How often the server is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// So many looks in a row may fail: a restart of tinyscale takes no longer.
const FAILURES_MAX: u32 = 60;

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Exit code with --wait: 0 when no meeting is left, 3 when the end of the drain has come and \
                        meetings are left, 1 if the drain was called off or anything else went wrong. Nothing \
                        ends a meeting; the drain goes on after any of them."
)]
pub(crate) struct Args {
    /// What the server is called
    #[arg(value_parser = ServerName::new)]
    server: ServerName,
    /// How long from now on until it is to be empty, like 2h or 90m
    #[arg(long = "for", value_name = "TIME", value_parser = until::length, conflicts_with = "until")]
    length: Option<u64>,
    /// When it is to be empty, like 18:00 or "2026-12-24 18:00", on this machine's clock
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// What its meetings are told; {minutes} stands for those that are left, "" for nothing
    #[arg(long, value_name = "TEXT")]
    tell: Option<String>,
    /// Come back only when no meeting is left, or when the time is over
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    pub(super) how: How,
}

pub(super) async fn run(args: &Args, desk: &Desk) -> Result<ExitCode, String> {
    let end = match (args.length, &args.until) {
        (Some(length), _) => Some(clock::unix_s().saturating_add(length)),
        (None, Some(text)) => Some(
            until::end(text, &until::now())
                .map_err(|why| format!("tinyscale: --until {text}: {why}"))?,
        ),
        (None, None) => None,
    };
    let mut body = json!({ "mode": "drain" });
    if let Some(end) = end {
        body["until_unix_s"] = end.into();
    }
    if let Some(text) = &args.tell {
        body["message"] = text.as_str().into();
    }
    let row = desk.put_mode(&args.server, &body).await?;
    if !args.wait {
        desk.show(&show::set(&row), &row);
        return Ok(ExitCode::SUCCESS);
    }
    say(std::io::stderr(), &show::set(&row));
    wait(&args.server, desk, row).await
}

/// Waits for the end of the drain, one way or the other. Progress goes to standard error.
async fn wait(server: &ServerName, desk: &Desk, mut row: Value) -> Result<ExitCode, String> {
    let mut said = show::left(&row);
    let mut failures = 0;
    loop {
        if row["mode"] != "drain" {
            let mode = row["mode"].as_str().unwrap_or_default();
            return Err(format!("tinyscale: the drain was called off: {server} is set to {mode}"));
        }
        if row["drained"] == true {
            desk.show(&format!("{server} is drained: no meeting is left"), &row);
            return Ok(ExitCode::SUCCESS);
        }
        let end = row["drain"]["until_unix_s"].as_u64();
        if end.is_some_and(|end| end <= clock::unix_s()) {
            desk.show(&format!("the time is over: {}", show::left(&row)), &row);
            return Ok(ExitCode::from(OVERDUE));
        }
        tokio::time::sleep(INTERVAL).await;
        match desk.get("/api/v1/servers").await {
            Ok(answer) => {
                failures = 0;
                let rows = answer["servers"].as_array().cloned().unwrap_or_default();
                let found = rows.into_iter().find(|row| row["name"] == server.as_str());
                row = found.ok_or_else(|| format!("tinyscale: {server} is no longer a server"))?;
            }
            Err(_) if failures < FAILURES_MAX => failures += 1,
            Err(why) => return Err(why),
        }
        let left = show::left(&row);
        if left != said {
            say(std::io::stderr(), &left);
            said = left;
        }
    }
}
