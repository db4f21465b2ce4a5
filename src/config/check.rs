//! From what was written to what is used: fills in the environment and the defaults, fetches secrets and
//! server lists, and refuses what contradicts itself. Tells all problems, not the first.

mod admin;
mod edge;
mod freshness;
mod listen;
mod traffic;

use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use crate::bbb::checksum::Algorithm;
use crate::bbb::secret::Secret;
use crate::cluster::placement::cost::Weights;
use crate::cluster::server::{ServerName, ServerSpec};
use crate::config::file::balance::BalanceFile;
use crate::config::file::drain::DrainFile;
use crate::config::file::{
    File, LimitsFile, ProbeFile, ServerFile, ServersFile, TimeoutsFile, TlsFile,
};
use crate::config::problem::{Located, Place, Problems};
use crate::config::secret::SecretSource;
use crate::config::settings::{
    BalanceSettings, CallbackSettings, DrainSettings, HookSettings, Limits, ProbeSettings,
    ProcessSettings, ServerSettings, Settings, Timeouts, TlsCheck,
};
use crate::config::{Source, environment, servers_json};

const GRACE_PERIOD: Duration = Duration::from_secs(30);
const UPGRADE_DEADLINE: Duration = Duration::from_secs(60);

/// The settings, or `None` after adding to `problems`.
pub(crate) fn check(
    source: &Source<'_>,
    mut file: File,
    mut env: File,
    problems: &mut Problems,
) -> Option<Settings> {
    let mut check = Check { source, problems };
    let trusted_proxies = check.trusted_proxies(&mut file.edge, &mut env.edge);
    let security_headers = check.security_headers(&mut file.edge, &mut env.edge);
    let cluster_proxy = check.cluster_proxy(&mut file.edge, &mut env.edge);
    let secrets = check.secrets(file.secrets, env.secrets);
    let servers = check.servers(file.servers, env.servers);
    let probe = check.probe(file.probe, env.probe);
    let timeouts = check.timeouts(file.timeouts, env.timeouts);
    let freshness = check.freshness(file.freshness, env.freshness);
    let limits = check.limits(file.limits, env.limits);
    let abuse = check.abuse(file.abuse, env.abuse);
    let access_log = check.access_log(file.access_log, env.access_log);
    let heal = check.either(file.join.heal_create_time, env.join.heal_create_time);
    let networks = check.either(file.callbacks.networks, env.callbacks.networks);
    let hooks = HookSettings {
        form: check.either(file.hooks.version, env.hooks.version).unwrap_or_default(),
        algorithm: check.either(file.hooks.checksum, env.hooks.checksum).unwrap_or(Algorithm::Sha1),
    };
    let run_dir = check.either(file.process.run_dir, env.process.run_dir);
    let process = ProcessSettings {
        run_dir: run_dir.map(|path| source.path(&path)),
        reload_on_change: check
            .either(file.process.reload_on_change, env.process.reload_on_change)
            .unwrap_or(false),
        upgrade_deadline: check
            .either(file.process.upgrade_deadline, env.process.upgrade_deadline)
            .unwrap_or(UPGRADE_DEADLINE),
    };
    let threads = check.either(file.threads, env.threads).map(|threads| threads as usize);
    let state_dir = check.either(file.state_dir, env.state_dir);
    let known = servers.as_deref().unwrap_or_default();
    let admin = file.admin.map(|admin| check.admin(admin, &secrets, known));
    let listen = check.listen(file.listen, env.listen, state_dir.is_some());
    Some(Settings {
        listen,
        trusted_proxies,
        security_headers,
        cluster_proxy,
        public_url: check.either(file.public_url, env.public_url),
        state_dir: state_dir.map(|path| source.path(&path)),
        secrets,
        servers: servers?,
        balance: check.balance(file.balance, env.balance),
        probe,
        timeouts,
        freshness,
        limits,
        abuse,
        access_log,
        heal_create_time: heal.unwrap_or(true),
        callbacks: CallbackSettings { networks: networks.unwrap_or_default() },
        hooks,
        drain: drain_settings(file.drain),
        admin,
        process,
        threads: threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get)),
        grace_period: check.either(file.grace_period, env.grace_period).unwrap_or(GRACE_PERIOD),
        strict: file.strict.map(|strict| strict.value).unwrap_or(false),
    })
}

fn drain_settings(file: DrainFile) -> DrainSettings {
    let usual = DrainSettings::default();
    DrainSettings {
        message: file.message.map_or(usual.message, |message| message.value),
        again_before: file.again_before.map_or(usual.again_before, |again| again.value),
    }
}

/// Checks the parts of a configuration.
pub(crate) struct Check<'c> {
    pub(crate) source: &'c Source<'c>,
    pub(crate) problems: &'c mut Problems,
}

impl Check<'_> {
    /// The file's value, or the environment's where the file is silent; two that differ are a problem.
    fn either<T: PartialEq>(
        &mut self,
        file: Option<Located<T>>,
        env: Option<Located<T>>,
    ) -> Option<T> {
        if let (Some(file), Some(env)) = (&file, &env)
            && file.value != env.value
        {
            self.contradiction(&file.place, &env.place);
        }
        file.or(env).map(|found| found.value)
    }

    fn contradiction(&mut self, file: &Place, env: &Place) {
        let what = format!("contradicts {file}");
        self.problems.add(env, what, "it in only one of the two places");
    }

    fn duplicate(&mut self, what: &str, first: Option<&Place>, second: &Place) {
        if let Some(first) = first {
            let text = if first == second {
                format!("this {what} is given twice")
            } else {
                format!("this {what} is already on {}", first.from(second))
            };
            self.problems.add(second, text, format!("each {what} only once"));
        }
    }

    fn secrets(
        &mut self,
        file: Option<Located<Vec<Located<SecretSource>>>>,
        env: Option<Located<Vec<Located<SecretSource>>>>,
    ) -> Vec<Secret> {
        let from_file = file.map(|list| (self.resolve(&list.value), list.place));
        let from_env = env.map(|list| (self.resolve(&list.value), list.place));
        match (from_file, from_env) {
            (Some((secrets, place)), Some((others, other_place))) => {
                let known = |other: &Secret| secrets.iter().any(|secret| secret.is_same(other));
                // A secret with a problem of its own is not compared, too.
                if !secrets.is_empty() && !others.iter().all(known) {
                    self.contradiction(&place, &other_place);
                }
                secrets
            }
            (Some((secrets, _)), None) | (None, Some((secrets, _))) => secrets,
            (None, None) => {
                self.no_secret();
                Vec::new()
            }
        }
    }

    fn no_secret(&mut self) {
        let what = "tinyscale needs the secret that Moodle, Greenlight or Nextcloud sign their \
                    calls with";
        match self.source.yaml {
            Some(path) => {
                let what = format!("no `secrets`: {what}");
                self.problems.add(&Place::file(path), what, "secrets: [{ file: PATH }]");
            }
            None => {
                let place = Place::variable("TINYSCALE_SECRET");
                let what = format!("is not set: {what}");
                self.problems.add(&place, what, environment::NEW_SECRET);
            }
        }
    }

    fn resolve(&mut self, written: &[Located<SecretSource>]) -> Vec<Secret> {
        let mut found: Vec<(Secret, &Place)> = Vec::new();
        for entry in written {
            let Some(secret) = SecretSource::resolve(entry, self.source, self.problems) else {
                continue;
            };
            let first = found.iter().find(|(first, _)| first.is_same(&secret)).map(|(_, at)| *at);
            self.duplicate("secret", first, &entry.place);
            found.push((secret, &entry.place));
        }
        found.into_iter().map(|(secret, _)| secret).collect()
    }

    pub(crate) fn balance(&mut self, file: BalanceFile, env: BalanceFile) -> BalanceSettings {
        let default = BalanceSettings::default();
        let costs = default.weights;
        let mut cost = |file, env, default| self.either(file, env).unwrap_or(default);
        let weights = Weights {
            meeting: cost(file.meeting_weight, env.meeting_weight, costs.meeting),
            voice: cost(file.voice_weight, env.voice_weight, costs.voice),
            video: cost(file.video_weight, env.video_weight, costs.video),
            two_giants: cost(file.giant_weight, env.giant_weight, costs.two_giants),
            cameras_max: self
                .either(file.cameras_max, env.cameras_max)
                .unwrap_or(costs.cameras_max),
            giant: self.either(file.giant, env.giant).unwrap_or(costs.giant),
        };
        BalanceSettings {
            policy: self.either(file.policy, env.policy).unwrap_or(default.policy),
            failover_after: self
                .either(file.failover_after, env.failover_after)
                .unwrap_or(default.failover_after),
            slow_start: self.either(file.slow_start, env.slow_start).unwrap_or(default.slow_start),
            all_tagged_open: self
                .either(file.open_when_all_tagged, env.open_when_all_tagged)
                .unwrap_or(default.all_tagged_open),
            weights,
        }
    }

    pub(crate) fn probe(&mut self, file: ProbeFile, env: ProbeFile) -> ProbeSettings {
        let default = ProbeSettings::default();
        let backoff_at = [&file.backoff_max, &env.backoff_max].into_iter().flatten().next();
        let backoff_at = backoff_at.map(|found| found.place.clone());
        let mut pick = |file, env, default| self.either(file, env).unwrap_or(default);
        let interval = pick(file.interval, env.interval, default.interval);
        let timeout = pick(file.timeout, env.timeout, default.timeout);
        let backoff_max =
            pick(file.backoff_max, env.backoff_max, default.backoff_max.max(interval));
        if let Some(place) = backoff_at
            && backoff_max < interval
        {
            let what = format!(
                "`backoff_max` is shorter than `interval` ({interval:?}): a server that is down \
                 would be asked more often than one that is up"
            );
            let instead = format!("{interval:?} or longer");
            self.problems.add(&place, what, instead);
        }
        let down_after = self.either(file.down_after, env.down_after);
        let up_after = self.either(file.up_after, env.up_after);
        ProbeSettings {
            interval,
            timeout,
            backoff_max,
            down_after: down_after.unwrap_or(default.down_after),
            up_after: up_after.unwrap_or(default.up_after),
        }
    }

    fn timeouts(&mut self, file: TimeoutsFile, env: TimeoutsFile) -> Timeouts {
        let default = Timeouts::default();
        let mut pick = |file, env, default| self.either(file, env).unwrap_or(default);
        Timeouts {
            connect: pick(file.connect, env.connect, default.connect),
            create: pick(file.create, env.create, default.create),
            call: pick(file.call, env.call, default.call),
            fan_out: pick(file.fan_out, env.fan_out, default.fan_out),
        }
    }

    fn limits(&mut self, file: LimitsFile, env: LimitsFile) -> Limits {
        let default = Limits::default();
        let mut pick = |file, env, default| self.either(file, env).unwrap_or(default);
        Limits {
            documents_bytes: pick(file.documents, env.documents, default.documents_bytes),
            text_tracks_bytes: pick(file.text_tracks, env.text_tracks, default.text_tracks_bytes),
            other_bodies_bytes: pick(
                file.other_bodies,
                env.other_bodies,
                default.other_bodies_bytes,
            ),
        }
    }

    /// `None` if there is no list of servers at all.
    fn servers(
        &mut self,
        file: Option<Located<ServersFile>>,
        env: Option<Located<ServersFile>>,
    ) -> Option<Vec<ServerSettings>> {
        if let (Some(file), Some(env)) = (&file, &env) {
            let same = matches!((&file.value, &env.value),
                (ServersFile::File(a), ServersFile::File(b)) if a == b);
            if !same {
                self.contradiction(&file.place, &env.place);
            }
        }
        let written = match (file.or(env), self.source.yaml) {
            (Some(Located { value: ServersFile::List(servers), .. }), _) => servers,
            (Some(Located { value: ServersFile::File(path), place }), _) => {
                servers_json::read(self.source, &path, &place, self.problems)?
            }
            (None, None) => {
                let path = Path::new(environment::SERVERS_DEFAULT);
                servers_json::read(self.source, path, &Place::file(path), self.problems)?
            }
            (None, Some(path)) => {
                let what = "no `servers`: tinyscale needs at least one BigBlueButton server";
                let instead = "servers: [{ url: \"https://bbb1.example.org\", secret: { file: PATH \
                               } }], or servers: { file: servers.json }";
                self.problems.add(&Place::file(path), what, instead);
                return None;
            }
        };
        let names = self.names(&written);
        let servers = written.iter().zip(names);
        Some(servers.filter_map(|(server, name)| self.server(server, name?)).collect())
    }

    /// The names of the servers, each only once.
    pub(crate) fn names(&mut self, written: &[ServerFile]) -> Vec<Option<ServerName>> {
        let names: Vec<_> = written.iter().map(|server| self.name(server)).collect();
        for (i, (server, name)) in written.iter().zip(&names).enumerate() {
            self.unique(server, name.as_ref(), &written[..i], &names[..i]);
        }
        names
    }

    fn name(&mut self, server: &ServerFile) -> Option<ServerName> {
        if let Some(name) = &server.name {
            return Some(name.value.clone());
        }
        let name = ServerName::new(&server.url.value.default_name());
        if name.is_err() {
            let what = "this host does not make a usable name for the server";
            self.problems.add(&server.url.place, what, "a `name` for this server, like bbb1");
        }
        name.ok()
    }

    fn unique(
        &mut self,
        server: &ServerFile,
        name: Option<&ServerName>,
        earlier: &[ServerFile],
        names: &[Option<ServerName>],
    ) {
        // One server twice has also one name twice; told once is enough.
        if let Some(first) = earlier.iter().find(|first| first.url.value == server.url.value) {
            let what = format!(
                "this is the same server as on {}",
                first.url.place.from(&server.url.place)
            );
            self.problems.add(&server.url.place, what, "each server only once");
            return;
        }
        let Some(name) = name else { return };
        let mut pairs = earlier.iter().zip(names);
        let Some((first, _)) = pairs.find(|(_, other)| other.as_ref() == Some(name)) else {
            return;
        };
        let place = server.name.as_ref().map_or(&server.place, |name| &name.place);
        let first = first.place.from(place);
        let what = format!("the name `{name}` already belongs to the server on {first}");
        self.problems.add(place, what, "a `name` of its own for each server");
    }

    fn server(&mut self, server: &ServerFile, name: ServerName) -> Option<ServerSettings> {
        let secret = SecretSource::resolve(&server.secret, self.source, self.problems);
        let tls = match &server.tls {
            Some(tls) => self.tls(tls, server.url.value.https),
            None => TlsCheck::System,
        };
        let spec = ServerSpec {
            name,
            url: server.url.value.clone(),
            secret: secret?,
            algorithm: server.algorithm.unwrap_or_default(),
            weight: server.weight.unwrap_or(1.0),
            capacity: server.capacity.unwrap_or_default(),
            tags: server.tags.clone().unwrap_or_default(),
        };
        Some(ServerSettings { spec, tls })
    }

    fn tls(&mut self, tls: &Located<TlsFile>, https: bool) -> TlsCheck {
        if !https {
            let what = "`tls` is of no use for a server whose URL begins with http://";
            self.problems.add(&tls.place, what, "an https:// URL, or no `tls`");
        }
        match (&tls.value.ca, tls.value.verify) {
            (Some(ca), verify) => {
                if verify == Some(false) {
                    let what = "`ca` checks the certificate and `verify: false` does not";
                    self.problems.add(&tls.place, what, "one of `ca` and `verify: false`");
                }
                self.certificates(&ca.value, &ca.place);
                TlsCheck::Ca(self.source.path(&ca.value))
            }
            (None, Some(false)) => TlsCheck::Skip,
            (None, Some(true) | None) => TlsCheck::System,
        }
    }

    fn certificates(&mut self, path: &Path, place: &Place) {
        let shown = path.display();
        let why = match self.source.read(path) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => return,
            Ok(_) => "holds no certificate in PEM form".to_owned(),
            Err(why) => why,
        };
        let what = format!("the certificate file {shown}: {why}");
        let instead = "the path of a file that begins with -----BEGIN CERTIFICATE-----";
        self.problems.add(place, what, instead);
    }
}
