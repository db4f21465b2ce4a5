//! The configuration as it is used: parsed, checked and complete. Everything here is valid by construction
//! of its fields or by the checks in `config`; no other module reads files or the environment.

pub mod admin;
pub mod edge;
pub mod freshness;
pub mod traffic;

use std::path::PathBuf;
use std::time::Duration;

use crate::bbb::checksum::Algorithm;
use crate::bbb::secret::Secret;
use crate::callback::target::Networks;
use crate::cluster::Rules;
use crate::cluster::health::Hysteresis;
use crate::cluster::placement::Policy;
use crate::cluster::placement::cost::Weights;
use crate::cluster::server::ServerSpec;
use crate::config::settings::admin::AdminSettings;
pub use crate::config::settings::edge::{
    Address, ClusterProxy, Listen, ProxyHeader, SecurityHeaders, TrustedProxies,
};
pub use crate::config::settings::freshness::Freshness;
use crate::config::settings::traffic::{AbuseSettings, AccessLogSettings};
use crate::hook::sign::Form;

/// All of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to accept HTTP, at least one, no two addresses the same.
    pub listen: Vec<Listen>,
    /// Whose word about clients is taken.
    pub trusted_proxies: TrustedProxies,
    /// What browsers are told with every answer.
    pub security_headers: SecurityHeaders,
    /// Whether browsers reach the servers' clients through tinyscale.
    pub cluster_proxy: ClusterProxy,
    /// What front ends call tinyscale, e.g. `https://bbb.example.org`, without a trailing slash.
    pub public_url: Option<String>,
    /// Where state that outlives a restart may be written.
    pub state_dir: Option<PathBuf>,
    /// The front ends' secrets, at least one, no two the same; any of them opens the API.
    pub secrets: Vec<Secret>,
    /// The servers, at least one, names and URLs unique.
    pub servers: Vec<ServerSettings>,
    /// How new meetings are placed.
    pub balance: BalanceSettings,
    /// How servers are watched.
    pub probe: ProbeSettings,
    /// How long calls to servers may take.
    pub timeouts: Timeouts,
    /// For how long answers about a meeting are given again.
    pub freshness: Freshness,
    /// The largest request bodies.
    pub limits: Limits,
    /// How much one client may ask for.
    pub abuse: AbuseSettings,
    /// What is written down about requests.
    pub access_log: AccessLogSettings,
    /// Whether a join into a meeting that was made anew gets the new createTime (`operators.md` 2.7).
    pub heal_create_time: bool,
    /// Where callbacks may go.
    pub callbacks: CallbackSettings,
    /// How events are signed for front ends.
    pub hooks: HookSettings,
    /// What people are told when their server is to be switched off.
    pub drain: DrainSettings,
    /// The listener for operators, if there is one.
    pub admin: Option<AdminSettings>,
    /// How the process is changed while it runs.
    pub process: ProcessSettings,
    /// Threads that carry requests.
    pub threads: usize,
    /// How long open requests may finish after a stop was asked for.
    pub grace_period: Duration,
    /// Whether an unreachable server at start is an error, as in the first tinyscale.
    pub strict: bool,
}

/// One server and how its certificate is checked.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// What the cluster knows of it.
    pub spec: ServerSpec,
    /// Certificate checks of an https server.
    pub tls: TlsCheck,
}

/// How the certificate of an https server is checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum TlsCheck {
    /// Against the system's certificate store.
    #[default]
    System,
    /// Against the certificates in this PEM file.
    Ca(PathBuf),
    /// Not at all. For a test bed only.
    Skip,
}

/// How new meetings are placed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BalanceSettings {
    /// By which policy.
    pub policy: Policy,
    /// How long a server must be down without a break before its meetings count as lost and may be made
    /// anew elsewhere; `None`: never.
    pub failover_after: Option<Duration>,
    /// How long a server that is new or back is spared.
    pub slow_start: Duration,
    /// Whether creates that ask for no tag may use tagged servers when there are no others.
    pub all_tagged_open: bool,
    /// What a meeting costs.
    pub weights: Weights,
}

impl BalanceSettings {
    /// The numbers that the cluster decides by.
    pub fn rules(&self, probe: &ProbeSettings) -> Rules {
        Rules {
            hysteresis: Hysteresis { down_after: probe.down_after, up_after: probe.up_after },
            failover_after: self.failover_after,
            slow_start: self.slow_start,
            all_tagged_open: self.all_tagged_open,
            weights: self.weights,
        }
    }
}

impl Default for BalanceSettings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            failover_after: Some(Duration::from_secs(180)),
            slow_start: Duration::from_secs(300),
            all_tagged_open: true,
            weights: Weights::default(),
        }
    }
}

/// How servers are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeSettings {
    /// Time between two probes of a server that answers.
    pub interval: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
    /// The longest time between two probes of a server that does not answer.
    pub backoff_max: Duration,
    /// Failed probes in a row that make a server `Down`; one makes it `Suspect`.
    pub down_after: u32,
    /// Good probes in a row that bring a server back from `Down`.
    pub up_after: u32,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            backoff_max: Duration::from_secs(30),
            down_after: 3,
            up_after: 2,
        }
    }
}

/// Where callbacks may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallbackSettings {
    /// The networks that front ends may name an address of.
    pub networks: Networks,
}

/// What people are told when their server is to be switched off; servers before 3.0 cannot tell them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainSettings {
    /// The announcement, at most 500 characters; `{minutes}` are those that are left. Empty: none.
    pub message: String,
    /// How long before the end it is made again.
    pub again_before: Vec<Duration>,
}

impl Default for DrainSettings {
    fn default() -> Self {
        let message = "Maintenance: this server will be switched off in {minutes} minutes. Please close the meeting \
                       before, and open it again: it then goes on with another server.";
        let again_before = [30, 5].map(|minutes| Duration::from_secs(minutes * 60)).to_vec();
        Self { message: message.to_owned(), again_before }
    }
}

/// How events are signed for front ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookSettings {
    /// What is hashed.
    pub form: Form,
    /// How it is hashed.
    pub algorithm: Algorithm,
}

/// How the process is changed while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Where commands like `tinyscale reload` find the process; `None`: they do not.
    pub run_dir: Option<PathBuf>,
    /// Whether a changed configuration file is read without being asked to.
    pub reload_on_change: bool,
    /// How long a new process has until it serves.
    pub upgrade_deadline: Duration,
}

/// How long calls to servers may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS handshake.
    pub connect: Duration,
    /// A create, end to end: servers may fetch and convert slides meanwhile (`bbb-api.md` 7.1).
    pub create: Duration,
    /// Any other forwarded call: the longest silence of the server.
    pub call: Duration,
    /// A call that asks all servers, end to end.
    pub fan_out: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            create: Duration::from_secs(120),
            call: Duration::from_secs(10),
            fan_out: Duration::from_secs(5),
        }
    }
}

/// The largest request bodies, by what they carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// create and insertDocument, which carry slides; BBB documents 2 MB.
    pub documents_bytes: u64,
    /// putRecordingTextTrack.
    pub text_tracks_bytes: u64,
    /// Any other call.
    pub other_bodies_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self { documents_bytes: 8 * MIB, text_tracks_bytes: 64 * MIB, other_bodies_bytes: MIB }
    }
}
