//! The configuration in environment variables. Each is read as if its text stood at its key in the YAML
//! file, so that both have the same rules and messages.

use std::path::Path;

use crate::config::document::{Key, Node, Value};
use crate::config::file::File;
use crate::config::problem::{Located, Place, Problems};
use crate::config::{Source, secret};

/// An environment variable that tinyscale reads, for `--help` and the handbook.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The YAML key that says the same, groups before a dot.
    pub key: &'static str,
    /// What it is for: one line, no full stop.
    pub meaning: &'static str,
    /// What holds when it is not set; empty for what has no default.
    pub default: &'static str,
}

const fn variable(
    name: &'static str,
    key: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable { name, key, meaning, default }
}

/// The port of the first tinyscale.
pub(crate) const PORT_DEFAULT: u16 = 3005;
/// Where the servers are listed when nothing else says so.
pub(crate) const SERVERS_DEFAULT: &str = "servers.json";

/// All of them. An empty variable counts as not set, except a secret: an empty one is an error.
pub const VARIABLES: &[Variable] = &[
    variable("TINYSCALE_SECRET", "secrets", "", "secret that front ends sign their calls with"),
    variable("TINYSCALE_SECRET_FILE", "secrets", "", "file that holds this secret"),
    variable("TINYSCALE_SERVERS", "servers", SERVERS_DEFAULT, "file that lists the BBB servers"),
    variable("PORT", "listen", "3005", "port to listen on, at all addresses"),
    variable("TINYSCALE_LISTEN", "listen", "[::]:3005", "addresses to listen on, with commas"),
    variable(
        "TINYSCALE_TRUSTED_PROXIES",
        "trusted_proxies",
        "",
        "networks of proxies that say who a client is, with commas",
    ),
    variable(
        "TINYSCALE_CLIENT_HEADER",
        "client_header",
        "X-Forwarded-For",
        "header in which they say it",
    ),
    variable(
        "TINYSCALE_SECURITY_HEADERS",
        "security_headers",
        "true",
        "header lines that make browsers careful",
    ),
    variable(
        "TINYSCALE_HSTS_DAYS",
        "hsts_days",
        "30",
        "how long browsers use nothing but https after they did once",
    ),
    variable(
        "TINYSCALE_CLUSTER_PROXY",
        "cluster_proxy",
        "false",
        "whether browsers reach the servers' clients through tinyscale",
    ),
    variable("TINYSCALE_PUBLIC_URL", "public_url", "", "URL that front ends use for tinyscale"),
    variable("TINYSCALE_STATE_DIR", "state_dir", "", "folder for what outlives a restart"),
    variable(
        "TINYSCALE_BALANCE_POLICY",
        "balance.policy",
        "expected_load",
        "who gets new meetings",
    ),
    variable(
        "TINYSCALE_BALANCE_FAILOVER_AFTER",
        "balance.failover_after",
        "3m",
        "how long a server must be down until its meetings may be made anew elsewhere",
    ),
    variable(
        "TINYSCALE_BALANCE_SLOW_START",
        "balance.slow_start",
        "5m",
        "how long a server that is new or back is spared",
    ),
    variable(
        "TINYSCALE_BALANCE_OPEN_WHEN_ALL_TAGGED",
        "balance.open_when_all_tagged",
        "true",
        "whether creates without a tag may use tagged servers when there are no others",
    ),
    variable(
        "TINYSCALE_BALANCE_MEETING_WEIGHT",
        "balance.meeting_weight",
        "1",
        "what a meeting costs by itself; a person costs 1",
    ),
    variable(
        "TINYSCALE_BALANCE_VOICE_WEIGHT",
        "balance.voice_weight",
        "0.1",
        "what a microphone costs",
    ),
    variable(
        "TINYSCALE_BALANCE_VIDEO_WEIGHT",
        "balance.video_weight",
        "0.01",
        "what one camera costs for each person who sees it",
    ),
    variable(
        "TINYSCALE_BALANCE_CAMERAS_MAX",
        "balance.cameras_max",
        "12",
        "cameras of a meeting that count",
    ),
    variable("TINYSCALE_BALANCE_GIANT", "balance.giant", "100", "people that make a giant"),
    variable(
        "TINYSCALE_BALANCE_GIANT_WEIGHT",
        "balance.giant_weight",
        "0.5",
        "how much a giant's people count again for another giant",
    ),
    variable("TINYSCALE_PROBE_INTERVAL", "probe.interval", "5s", "time between probes of a server"),
    variable("TINYSCALE_PROBE_TIMEOUT", "probe.timeout", "5s", "how long one probe may take"),
    variable(
        "TINYSCALE_PROBE_BACKOFF_MAX",
        "probe.backoff_max",
        "30s",
        "longest time between probes of a server that is down",
    ),
    variable(
        "TINYSCALE_PROBE_DOWN_AFTER",
        "probe.down_after",
        "3",
        "failed probes that make a server down",
    ),
    variable(
        "TINYSCALE_PROBE_UP_AFTER",
        "probe.up_after",
        "2",
        "good probes that bring a server back",
    ),
    variable("TINYSCALE_TIMEOUTS_CONNECT", "timeouts.connect", "3s", "connecting to a server"),
    variable("TINYSCALE_TIMEOUTS_CREATE", "timeouts.create", "2m", "creating a meeting"),
    variable("TINYSCALE_TIMEOUTS_CALL", "timeouts.call", "10s", "silence of a server in a call"),
    variable(
        "TINYSCALE_TIMEOUTS_FAN_OUT",
        "timeouts.fan_out",
        "5s",
        "a call that asks all servers",
    ),
    variable(
        "TINYSCALE_FRESHNESS",
        "freshness",
        "1s",
        "how long an answer about a meeting is given again; 0: never",
    ),
    variable(
        "TINYSCALE_LIMITS_DOCUMENTS",
        "limits.documents",
        "8MiB",
        "largest body of create and insertDocument",
    ),
    variable(
        "TINYSCALE_LIMITS_TEXT_TRACKS",
        "limits.text_tracks",
        "64MiB",
        "largest body of putRecordingTextTrack",
    ),
    variable("TINYSCALE_LIMITS_OTHER_BODIES", "limits.other_bodies", "1MiB", "largest other body"),
    variable(
        "TINYSCALE_ACCESS_LOG",
        "access_log.to",
        "nowhere",
        "access log: stdout, nowhere, or a file",
    ),
    variable("TINYSCALE_ACCESS_LOG_FORMAT", "access_log.format", "json", "json or combined"),
    variable(
        "TINYSCALE_ACCESS_LOG_ADDRESSES",
        "access_log.addresses",
        "truncated",
        "addresses in it: full, truncated or none",
    ),
    variable(
        "TINYSCALE_ABUSE_EXEMPT",
        "abuse.exempt",
        "",
        "networks that are never slowed down, with commas",
    ),
    variable(
        "TINYSCALE_ABUSE_REQUESTS",
        "abuse.requests",
        "200",
        "requests per second of one address",
    ),
    variable("TINYSCALE_ABUSE_BURST", "abuse.burst", "4000", "requests of one address at once"),
    variable(
        "TINYSCALE_ABUSE_SECRET_REQUESTS",
        "abuse.secret_requests",
        "",
        "calls per second with all secrets together",
    ),
    variable(
        "TINYSCALE_ABUSE_CONNECTIONS",
        "abuse.connections",
        "20000",
        "connections of one address",
    ),
    variable(
        "TINYSCALE_ABUSE_FAILURES",
        "abuse.failures",
        "30",
        "wrong checksums of one address per minute",
    ),
    variable(
        "TINYSCALE_ABUSE_HEADER_TIME",
        "abuse.header_time",
        "20s",
        "how long a request's header may take",
    ),
    variable(
        "TINYSCALE_ABUSE_BODY_TIME",
        "abuse.body_time",
        "30s",
        "how long its body may take beyond 1 s per 2 KiB",
    ),
    variable(
        "TINYSCALE_ABUSE_IDLE_TIME",
        "abuse.idle_time",
        "75s",
        "how long an unused connection is kept",
    ),
    variable(
        "TINYSCALE_ABUSE_SECURITY_LOG",
        "abuse.security_log",
        "true",
        "name refused clients in the log, for fail2ban",
    ),
    variable(
        "TINYSCALE_JOIN_HEAL_CREATE_TIME",
        "join.heal_create_time",
        "true",
        "let joins with the createTime of a lost meeting into its successor",
    ),
    variable(
        "TINYSCALE_CALLBACK_NETWORKS",
        "callbacks.networks",
        "public, private",
        "networks that callbacks may go to: public, private, loopback",
    ),
    variable(
        "TINYSCALE_HOOKS_VERSION",
        "hooks.version",
        "3.4",
        "release of bbb-webhooks that front ends take events from",
    ),
    variable("TINYSCALE_HOOKS_CHECKSUM", "hooks.checksum", "sha1", "what events are signed with"),
    variable(
        "TINYSCALE_RUN_DIR",
        "process.run_dir",
        "",
        "folder where commands like `tinyscale reload` find the process",
    ),
    variable(
        "TINYSCALE_RELOAD_ON_CHANGE",
        "process.reload_on_change",
        "false",
        "read a changed configuration file without being asked to",
    ),
    variable(
        "TINYSCALE_UPGRADE_DEADLINE",
        "process.upgrade_deadline",
        "1m",
        "how long a new process has until it serves",
    ),
    variable("TINYSCALE_THREADS", "threads", "one per CPU", "threads that carry requests"),
    variable(
        "TINYSCALE_GRACE_PERIOD",
        "grace_period",
        "30s",
        "how long open requests may finish after a stop",
    ),
];

/// What to write where the front ends' secret is missing.
pub(crate) const NEW_SECRET: &str = "TINYSCALE_SECRET=a-long-random-text, for example what `openssl \
    rand -hex 32` prints; or TINYSCALE_SECRET_FILE=PATH";

/// What the environment says, without `PORT`.
pub(crate) fn read(source: &Source<'_>, problems: &mut Problems) -> File {
    let mut top = Vec::new();
    // Not left out, so that it is told once.
    let mut empty_secret = None;
    for variable in VARIABLES.iter().filter(|variable| variable.name != "PORT") {
        let Some(text) = (source.env)(variable.name) else { continue };
        let place = Place::variable(variable.name);
        if text.trim().is_empty() {
            if variable.name == "TINYSCALE_SECRET" {
                problems.add(&place, "is empty", NEW_SECRET);
                empty_secret = Some(Located { value: Vec::new(), place });
            }
            continue;
        }
        if variable.name == "TINYSCALE_SECRET_FILE" && top.iter().any(|(k, _)| is(k, "secrets")) {
            let what = "is set together with TINYSCALE_SECRET";
            problems.add(&place, what, "only one of the two variables");
            continue;
        }
        let value = value(variable, text, &place);
        insert(&mut top, variable.key, Node { place: place.clone(), value }, &place);
    }
    let place = Place::file(Path::new("environment"));
    let top = Node { place, value: Value::Map(top) };
    let mut file = File::read(&top, Path::new(""), problems).unwrap_or_default();
    file.secrets = file.secrets.or(empty_secret);
    file
}

/// The port that `PORT` asks for; its place for messages.
pub(crate) fn port(source: &Source<'_>, problems: &mut Problems) -> Option<(u16, Place)> {
    let place = Place::variable("PORT");
    let text = (source.env)("PORT").filter(|text| !text.trim().is_empty())?;
    match text.trim().parse() {
        Ok(port) => Some((port, place)),
        Err(_) => {
            let what = "is not a port";
            problems.add(&place, what, "a number up to 65535, like PORT=3005");
            None
        }
    }
}

/// The text in the shape that its key has in YAML.
fn value(variable: &Variable, text: String, place: &Place) -> Value {
    let node = |value| Node { place: place.clone(), value };
    let group = |key: &str, value| Value::Map(vec![(named(key, place), node(value))]);
    match variable.name {
        "TINYSCALE_SECRET" => {
            Value::List(vec![node(Value::Loose(secret::one_line(&text).to_owned()))])
        }
        "TINYSCALE_SECRET_FILE" => Value::List(vec![node(group("file", Value::Loose(text)))]),
        "TINYSCALE_SERVERS" => group("file", Value::Loose(text)),
        "TINYSCALE_LISTEN" => Value::List(
            text.split(',')
                .map(|address| node(group("address", Value::Loose(address.to_owned()))))
                .collect(),
        ),
        "TINYSCALE_CALLBACK_NETWORKS" | "TINYSCALE_TRUSTED_PROXIES" | "TINYSCALE_ABUSE_EXEMPT" => {
            Value::List(text.split(',').map(|one| node(Value::Loose(one.to_owned()))).collect())
        }
        _ => Value::Loose(text),
    }
}

/// Puts `node` at `key`, in the group before its dot if there is one.
fn insert(top: &mut Vec<(Key, Node)>, key: &str, node: Node, place: &Place) {
    let Some((group, key)) = key.split_once('.') else {
        top.push((named(key, place), node));
        return;
    };
    let entry = (named(key, place), node);
    match top.iter_mut().find(|(k, _)| is(k, group)).map(|(_, node)| &mut node.value) {
        Some(Value::Map(entries)) => entries.push(entry),
        _ => top.push((
            named(group, place),
            Node { place: place.clone(), value: Value::Map(vec![entry]) },
        )),
    }
}

fn named(name: &str, place: &Place) -> Key {
    Key { name: name.to_owned(), place: place.clone() }
}

fn is(key: &Key, name: &str) -> bool {
    key.name == name
}
