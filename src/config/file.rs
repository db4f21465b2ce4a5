//! The configuration as written: the shape of `tinyscale.yaml`, with every value read into its type and
//! still knowing its place. Knows each key, and refuses all others; what values mean together, and files
//! that they name, are left to `config::check`.

pub(crate) mod admin;
pub(crate) mod balance;
pub(crate) mod callbacks;
pub(crate) mod drain;
pub(crate) mod edge;
pub(crate) mod freshness;
mod limits;
pub(crate) mod listen;
pub(crate) mod process;
pub(crate) mod traffic;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bbb::checksum::Algorithm;
use crate::bbb::url::{ApiUrl, BadUrl};
use crate::cluster::placement::capacity::Capacity;
use crate::cluster::placement::tags::Tag;
use crate::cluster::server::ServerName;
use crate::config::document::{Fields, Node, Value};
use crate::config::duration;
use crate::config::file::admin::AdminFile;
use crate::config::file::balance::BalanceFile;
use crate::config::file::callbacks::{CallbacksFile, HooksFile};
use crate::config::file::drain::DrainFile;
use crate::config::file::edge::EdgeFile;
use crate::config::file::freshness::FreshnessFile;
use crate::config::file::listen::ListenFile;
use crate::config::file::process::ProcessFile;
use crate::config::file::traffic::{AbuseFile, AccessLogFile};
use crate::config::problem::{Located, Place, Problems};
use crate::config::secret::SecretSource;

pub(crate) use limits::{JoinFile, LimitsFile};

/// Everything that can be written; `None` is left out. The environment is read into one, too.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) listen: Option<Located<Vec<ListenFile>>>,
    pub(crate) edge: EdgeFile,
    pub(crate) public_url: Option<Located<String>>,
    pub(crate) state_dir: Option<Located<PathBuf>>,
    pub(crate) secrets: Option<Located<Vec<Located<SecretSource>>>>,
    pub(crate) servers: Option<Located<ServersFile>>,
    pub(crate) balance: BalanceFile,
    pub(crate) probe: ProbeFile,
    pub(crate) timeouts: TimeoutsFile,
    pub(crate) freshness: FreshnessFile,
    pub(crate) limits: LimitsFile,
    pub(crate) abuse: AbuseFile,
    pub(crate) access_log: AccessLogFile,
    pub(crate) join: JoinFile,
    pub(crate) callbacks: CallbacksFile,
    pub(crate) hooks: HooksFile,
    pub(crate) drain: DrainFile,
    pub(crate) admin: Option<Located<AdminFile>>,
    pub(crate) process: ProcessFile,
    pub(crate) threads: Option<Located<u32>>,
    pub(crate) grace_period: Option<Located<Duration>>,
    pub(crate) strict: Option<Located<bool>>,
}

/// `probe` as written.
#[derive(Debug, Default)]
pub(crate) struct ProbeFile {
    pub(crate) interval: Option<Located<Duration>>,
    pub(crate) timeout: Option<Located<Duration>>,
    pub(crate) backoff_max: Option<Located<Duration>>,
    pub(crate) down_after: Option<Located<u32>>,
    pub(crate) up_after: Option<Located<u32>>,
}

/// `timeouts` as written.
#[derive(Debug, Default)]
pub(crate) struct TimeoutsFile {
    pub(crate) connect: Option<Located<Duration>>,
    pub(crate) create: Option<Located<Duration>>,
    pub(crate) call: Option<Located<Duration>>,
    pub(crate) fan_out: Option<Located<Duration>>,
}

/// `servers` as written.
#[derive(Debug)]
pub(crate) enum ServersFile {
    List(Vec<ServerFile>),
    File(PathBuf),
}

/// One server as written.
#[derive(Debug)]
pub(crate) struct ServerFile {
    pub(crate) place: Place,
    pub(crate) name: Option<Located<ServerName>>,
    pub(crate) url: Located<ApiUrl>,
    pub(crate) secret: Located<SecretSource>,
    pub(crate) weight: Option<f64>,
    pub(crate) capacity: Option<Capacity>,
    pub(crate) tags: Option<Vec<Tag>>,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) tls: Option<Located<TlsFile>>,
}

/// `tls` of a server as written.
#[derive(Debug)]
pub(crate) struct TlsFile {
    pub(crate) ca: Option<Located<PathBuf>>,
    pub(crate) verify: Option<bool>,
}

const TOP: [&str; 26] = [
    "listen",
    "trusted_proxies",
    "client_header",
    "security_headers",
    "hsts_days",
    "cluster_proxy",
    "public_url",
    "state_dir",
    "secrets",
    "servers",
    "balance",
    "probe",
    "timeouts",
    "freshness",
    "limits",
    "abuse",
    "access_log",
    "join",
    "callbacks",
    "hooks",
    "drain",
    "admin",
    "process",
    "threads",
    "grace_period",
    "strict",
];
const PROBE: [&str; 5] = ["interval", "timeout", "backoff_max", "down_after", "up_after"];
const TIMEOUTS: [&str; 4] = ["connect", "create", "call", "fan_out"];
const THREADS_MAX: u32 = 1024;

impl File {
    /// Reads a whole document; relative paths in it start at `folder`.
    pub(crate) fn read(node: &Node, folder: &Path, problems: &mut Problems) -> Option<Self> {
        let top = node.fields("the configuration", &TOP, problems)?;
        let mut read = Reader { folder, problems };
        Some(Self {
            listen: top.get("listen").and_then(|node| read.listen(node)),
            edge: read.edge(&top),
            public_url: top.get("public_url").and_then(|node| read.public_url(node)),
            state_dir: top.get("state_dir").and_then(|node| read.path(node, "state_dir")),
            secrets: top.get("secrets").and_then(|node| read.secrets(node)),
            servers: top.get("servers").and_then(|node| read.servers(node)),
            balance: top.get("balance").map(|node| read.balance(node)).unwrap_or_default(),
            probe: top.get("probe").map(|node| read.probe(node)).unwrap_or_default(),
            timeouts: top.get("timeouts").map(|node| read.timeouts(node)).unwrap_or_default(),
            freshness: top.get("freshness").map(|node| read.freshness(node)).unwrap_or_default(),
            limits: top.get("limits").map(|node| read.limits(node)).unwrap_or_default(),
            abuse: top.get("abuse").map(|node| read.abuse(node)).unwrap_or_default(),
            access_log: top.get("access_log").map(|node| read.access_log(node)).unwrap_or_default(),
            join: top.get("join").map(|node| read.join(node)).unwrap_or_default(),
            callbacks: top.get("callbacks").map(|node| read.callbacks(node)).unwrap_or_default(),
            drain: top.get("drain").map(|node| read.drain(node)).unwrap_or_default(),
            hooks: top.get("hooks").map(|node| read.hooks(node)).unwrap_or_default(),
            admin: top.get("admin").and_then(|node| {
                let value = read.admin(node)?;
                Some(Located { value, place: node.place.clone() })
            }),
            process: top.get("process").map(|node| read.process(node)).unwrap_or_default(),
            threads: read.whole(&top, "threads", THREADS_MAX),
            grace_period: top
                .get("grace_period")
                .and_then(|node| read.duration(node, "grace_period")),
            strict: top.get("strict").and_then(|node| {
                let value = node.flag("strict", read.problems)?;
                Some(Located { value, place: node.place.clone() })
            }),
        })
    }
}

/// Reads the parts of a document.
struct Reader<'r> {
    folder: &'r Path,
    problems: &'r mut Problems,
}

impl Reader<'_> {
    fn public_url(&mut self, node: &Node) -> Option<Located<String>> {
        let text = node.text("public_url", self.problems)?;
        match ApiUrl::parse(text) {
            // Only these paths lead to tinyscale, and front ends add them themselves.
            Ok(url) if url.path == "/bigbluebutton/api" => {
                let value = origin(&url);
                Some(Located { value, place: node.place.clone() })
            }
            Ok(url) => {
                let what = "`public_url` must not hold a path";
                self.problems.add(&node.place, what, origin(&url));
                None
            }
            Err(why) => {
                self.bad_url(node, "public_url", text, why, "https://bbb.example.org");
                None
            }
        }
    }

    fn bad_url(&mut self, node: &Node, key: &str, text: &str, why: BadUrl, example: &str) {
        let what = match why {
            BadUrl::Malformed => format!("`{key}` is not a URL"),
            BadUrl::Scheme | BadUrl::UserInfo | BadUrl::Query => format!("`{key}` {why}"),
        };
        let host = text.trim();
        // Only a bare host name is repeated; anything more complicated might hold a password.
        let plain =
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
        let instead = if why == BadUrl::Scheme && plain && host.contains('.') {
            format!("https://{host}")
        } else {
            example.to_owned()
        };
        self.problems.add(&node.place, what, instead);
    }

    fn path(&mut self, node: &Node, key: &str) -> Option<Located<PathBuf>> {
        let text = node.text(key, self.problems)?;
        if text.is_empty() {
            self.problems.add(&node.place, format!("`{key}` is empty"), "a path");
            return None;
        }
        Some(Located { value: self.folder.join(text), place: node.place.clone() })
    }

    fn secrets(&mut self, node: &Node) -> Option<Located<Vec<Located<SecretSource>>>> {
        let example = "secrets: [{ file: PATH }]";
        let list = node.list("secrets", example, self.problems).unwrap_or_default();
        let value = list
            .iter()
            .filter_map(|entry| {
                SecretSource::read(entry, "an entry of `secrets`", self.folder, self.problems)
            })
            .collect();
        Some(Located { value, place: node.place.clone() })
    }

    fn servers(&mut self, node: &Node) -> Option<Located<ServersFile>> {
        let place = node.place.clone();
        if let Value::Map(_) = node.value {
            let value = node
                .fields("`servers`", &["file"], self.problems)
                .and_then(|fields| {
                    fields.need(
                        "file",
                        "`servers`",
                        "servers: { file: servers.json }",
                        self.problems,
                    )
                })
                .and_then(|node| self.path(node, "file"))
                .map_or(ServersFile::List(Vec::new()), |path| ServersFile::File(path.value));
            return Some(Located { value, place });
        }
        let example = "servers: [{ url: \"https://bbb1.example.org\", secret: { file: PATH } }], \
                       or servers: { file: servers.json }";
        let list = node.list("servers", example, self.problems).unwrap_or_default();
        let servers = list
            .iter()
            .filter_map(|entry| ServerFile::read(entry, &YAML, self.folder, self.problems))
            .collect();
        Some(Located { value: ServersFile::List(servers), place })
    }

    fn probe(&mut self, node: &Node) -> ProbeFile {
        let Some(fields) = node.fields("`probe`", &PROBE, self.problems) else {
            return ProbeFile::default();
        };
        ProbeFile {
            interval: self.positive(&fields, "interval"),
            timeout: self.positive(&fields, "timeout"),
            backoff_max: self.positive(&fields, "backoff_max"),
            down_after: self.whole(&fields, "down_after", 100),
            up_after: self.whole(&fields, "up_after", 100),
        }
    }

    fn timeouts(&mut self, node: &Node) -> TimeoutsFile {
        let Some(fields) = node.fields("`timeouts`", &TIMEOUTS, self.problems) else {
            return TimeoutsFile::default();
        };
        TimeoutsFile {
            connect: self.positive(&fields, "connect"),
            create: self.positive(&fields, "create"),
            call: self.positive(&fields, "call"),
            fan_out: self.positive(&fields, "fan_out"),
        }
    }

    fn whole(&mut self, fields: &Fields<'_>, key: &str, max: u32) -> Option<Located<u32>> {
        let node = fields.get(key)?;
        let value = node.whole(key, 1..=max, self.problems)?;
        Some(Located { value, place: node.place.clone() })
    }

    fn positive(&mut self, fields: &Fields<'_>, key: &str) -> Option<Located<Duration>> {
        let found = self.duration(fields.get(key)?, key)?;
        if found.value.is_zero() {
            let what = format!("`{key}` must be longer than nothing");
            self.problems.add(&found.place, what, "a duration like 5s");
            return None;
        }
        Some(found)
    }

    fn duration(&mut self, node: &Node, key: &str) -> Option<Located<Duration>> {
        let example = "a duration like 500ms, 5s, 2m or 1h";
        let parsed = match &node.value {
            Value::Text(text) | Value::Loose(text) => duration::parse(text),
            Value::Number(number) if number.fract() == 0.0 && *number >= 0.0 => {
                self.problems.add(
                    &node.place,
                    format!("`{key}` has no unit"),
                    format!("{number}s, if these are seconds"),
                );
                return None;
            }
            Value::Nothing | Value::Flag(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                node.wrong_kind(key, "a duration", example, self.problems);
                return None;
            }
        };
        match parsed {
            Ok(value) => Some(Located { value, place: node.place.clone() }),
            Err(why) => {
                self.problems.add(&node.place, format!("`{key}` {why}"), example);
                None
            }
        }
    }
}

/// How servers are spelled in a format: `servers.json` keeps the first tinyscale's words.
pub(crate) struct Spelling {
    pub(crate) known: &'static [&'static str],
    pub(crate) url: &'static str,
    pub(crate) url_example: &'static str,
    pub(crate) secret_example: &'static str,
}

const YAML: Spelling = Spelling {
    known: &["name", "url", "secret", "weight", "capacity", "tags", "checksum", "tls"],
    url: "url",
    url_example: "url: https://bbb1.example.org",
    secret_example: "secret: { file: PATH }, with what `bbb-conf --secret` shows on that server",
};

impl ServerFile {
    /// Reads one server. All its mistakes are told; with any it is left out.
    pub(crate) fn read(
        node: &Node,
        spelling: &Spelling,
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<Self> {
        let fields = node.fields("a server", spelling.known, problems)?;
        let url = fields.need(spelling.url, "this server", spelling.url_example, problems);
        let secret = fields.need("secret", "this server", spelling.secret_example, problems);
        let mut read = Reader { folder, problems };
        let name = fields.get("name").and_then(|node| read.name(node));
        let url = url.and_then(|node| read.server_url(node, spelling.url));
        let secret =
            secret.and_then(|node| SecretSource::read(node, "`secret`", folder, read.problems));
        let weight = fields.get("weight").and_then(|node| read.weight(node));
        let capacity = fields.get("capacity").and_then(|node| read.capacity(node));
        let tags = fields.get("tags").and_then(|node| read.tags(node));
        let algorithm = fields.get("checksum").and_then(|node| read.algorithm(node));
        let tls = fields.get("tls").and_then(|node| read.tls(node));
        let place = node.place.clone();
        let (url, secret) = (url?, secret?);
        Some(Self { place, name, url, secret, weight, capacity, tags, algorithm, tls })
    }
}

impl Reader<'_> {
    fn name(&mut self, node: &Node) -> Option<Located<ServerName>> {
        let text = node.text("name", self.problems)?;
        match ServerName::new(text) {
            Ok(value) => Some(Located { value, place: node.place.clone() }),
            Err(why) => {
                self.problems.add(&node.place, format!("`name` {why}"), "a name like bbb1");
                None
            }
        }
    }

    fn server_url(&mut self, node: &Node, key: &str) -> Option<Located<ApiUrl>> {
        let text = node.text(key, self.problems)?;
        match ApiUrl::parse(text) {
            Ok(value) => Some(Located { value, place: node.place.clone() }),
            Err(why) => {
                self.bad_url(node, key, text, why, "https://bbb1.example.org");
                None
            }
        }
    }

    fn weight(&mut self, node: &Node) -> Option<f64> {
        let example = "a number above 0; 2 means twice as many people as 1";
        let weight = node.number("weight", example, self.problems)?;
        let usable = weight.is_finite() && weight > 0.0;
        if !usable {
            self.problems.add(&node.place, "`weight` must be above 0", example);
        }
        usable.then_some(weight)
    }

    fn algorithm(&mut self, node: &Node) -> Option<Algorithm> {
        let text = node.text("checksum", self.problems)?;
        let algorithm = Algorithm::of_name(text.trim());
        if algorithm.is_none() {
            let names = Algorithm::ALL.map(Algorithm::name).join(", ");
            let what = "`checksum` is not a hash that BigBlueButton knows";
            self.problems.add(&node.place, what, format!("one of {names}"));
        }
        algorithm
    }

    fn tls(&mut self, node: &Node) -> Option<Located<TlsFile>> {
        let fields = node.fields("`tls`", &["ca", "verify"], self.problems)?;
        let ca = fields.get("ca").and_then(|node| self.path(node, "ca"));
        let verify = fields.get("verify").and_then(|node| node.flag("verify", self.problems));
        Some(Located { value: TlsFile { ca, verify }, place: node.place.clone() })
    }
}

fn origin(url: &ApiUrl) -> String {
    format!("{}://{}", if url.https { "https" } else { "http" }, url.authority())
}
