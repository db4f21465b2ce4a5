//! Servers and placement settings for a replay: from the same files, but nothing that a replay has no use for
//! has to be there, and no secret is looked up.

use std::path::Path;

use crate::bbb::secret::Secret;
use crate::cluster::server::{ServerName, ServerSpec};
use crate::config::check::Check;
use crate::config::document::yaml;
use crate::config::file::{File, ServerFile, ServersFile};
use crate::config::problem::{Place, Problems};
use crate::config::settings::{BalanceSettings, ProbeSettings};
use crate::config::{Source, servers_json};

/// What a file says for a replay.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The servers, with secrets that open nothing; empty if the file has none.
    pub servers: Vec<ServerSpec>,
    /// How meetings are placed.
    pub balance: BalanceSettings,
    /// How often servers are polled.
    pub probe: ProbeSettings,
}

/// Reads `path`: a list like `servers.json` if it ends in `.json`, else a configuration file.
pub fn read(source: &Source<'_>, path: &Path) -> Result<Fleet, Problems> {
    let mut problems = Problems::default();
    let fleet = read_into(source, path, &mut problems);
    match fleet {
        Some(fleet) if problems.is_empty() => Ok(fleet),
        _ => Err(problems.sorted()),
    }
}

fn read_into(source: &Source<'_>, path: &Path, problems: &mut Problems) -> Option<Fleet> {
    let place = Place::file(path);
    let mut file = File::default();
    let mut written = Vec::new();
    if path.extension().is_some_and(|extension| extension == "json") {
        written = servers_json::read(source, path, &place, problems)?;
    } else {
        match source.read(path) {
            Ok(text) => {
                let node = yaml::parse(&text, &place, problems)?;
                file = File::read(&node, path.parent().unwrap_or(Path::new("")), problems)?;
            }
            Err(why) => {
                problems.add(&place, why, "the path of a readable YAML or JSON file");
                return None;
            }
        }
        written = match file.servers.take().map(|servers| (servers.value, servers.place)) {
            Some((ServersFile::List(servers), _)) => servers,
            Some((ServersFile::File(list), place)) => {
                servers_json::read(source, &list, &place, problems)?
            }
            None => written,
        };
    }
    let mut check = Check { source, problems };
    let names = check.names(&written);
    let servers = written.iter().zip(names).filter_map(|(server, name)| spec(server, name?));
    let servers = servers.collect();
    let balance = check.balance(file.balance, Default::default());
    let probe = check.probe(file.probe, Default::default());
    Some(Fleet { servers, balance, probe })
}

fn spec(server: &ServerFile, name: ServerName) -> Option<ServerSpec> {
    Some(ServerSpec {
        name,
        url: server.url.value.clone(),
        secret: Secret::new("unused").ok()?,
        algorithm: server.algorithm.unwrap_or_default(),
        weight: server.weight.unwrap_or(1.0),
        capacity: server.capacity.unwrap_or_default(),
        tags: server.tags.clone().unwrap_or_default(),
    })
}
