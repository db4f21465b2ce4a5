//! What is written down about requests, and how many of them are answered, as it is used.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// The access log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessLogSettings {
    /// Where it goes. Nowhere by default: who keeps addresses of people should have decided to.
    pub to: LogTarget,
    /// How a line looks.
    pub format: LogFormat,
    /// What it says of the client's address.
    pub addresses: LogAddresses,
}

/// Where a log goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LogTarget {
    /// There is none.
    #[default]
    Nowhere,
    /// To standard output.
    Stdout,
    /// Into this file, which USR1 opens anew.
    File(PathBuf),
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object.
    #[default]
    Json,
    /// The line of Apache and nginx.
    Combined,
}

/// What a log says of an address (`operators.md` 2.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogAddresses {
    /// All of it.
    Full,
    /// The network: 24 bits of IPv4, 48 of IPv6.
    #[default]
    Truncated,
    /// Nothing.
    None,
}

/// How much one client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbuseSettings {
    /// Front ends and others who are never refused or slowed down.
    pub exempt: Vec<IpNet>,
    /// Requests per second that an address may send for long.
    pub requests: u32,
    /// How many it may send at once.
    pub burst: u32,
    /// Calls per second with the secrets of one tenant together; `None`: as many as come.
    pub secret_requests: Option<u32>,
    /// Connections of one address at the same time.
    pub connections: u32,
    /// Wrong checksums of an address per minute before its next ones are answered late.
    pub failures: u32,
    /// How long the header of a request may take, with everything before it.
    pub header_time: Duration,
    /// How long a body may take, beyond a second for each 2 KiB.
    pub body_time: Duration,
    /// How long a connection is kept that nobody uses.
    pub idle_time: Duration,
    /// Whether refused clients are named in the log, for fail2ban.
    pub security_log: bool,
}

impl Default for AbuseSettings {
    fn default() -> Self {
        Self {
            exempt: Vec::new(),
            // A school is often one address: 1,000 joins at once and everybody trying again three times.
            requests: 200,
            burst: 4_000,
            secret_requests: None,
            connections: 20_000,
            failures: 30,
            header_time: Duration::from_secs(20),
            body_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(75),
            security_log: true,
        }
    }
}
