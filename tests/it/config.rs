//! Configuration files that load, and the words for those that do not: each file of
//! `tests/data/config/invalid` stands next to a snapshot of its error.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tinyscale::bbb::checksum::Algorithm;
use tinyscale::callback::target::Networks;
use tinyscale::cluster::placement::Policy;
use tinyscale::cluster::placement::capacity::Capacity;
use tinyscale::cluster::placement::cost::Weights;
use tinyscale::cluster::placement::tags::Tag;
use tinyscale::config::environment::VARIABLES;
use tinyscale::config::problem::Problems;
use tinyscale::config::settings::edge::Redirect;
use tinyscale::config::settings::{
    Freshness, HookSettings, Limits, ProbeSettings, ProxyHeader, SecurityHeaders, Settings,
    Timeouts, TlsCheck,
};
use tinyscale::config::{Source, load};
use tinyscale::hook::sign::Form;

const DATA: &str = "tests/data/config";

/// Every secret in the test data holds this word, and no message may.
const CANARY: &str = "CANARY";
const SECRETS: [(&str, &str); 3] =
    [("BBB_SECRET", "CANARY-from-env"), ("EMPTY", ""), ("CREDENTIALS_DIRECTORY", "")];
const ZERO: [(&str, &str); 2] =
    [("TINYSCALE_SECRET", "CANARY-front"), ("TINYSCALE_SERVERS", "../files/servers.json")];

type Env<'e> = &'e [(&'e str, &'e str)];

fn load_with(directory: &str, yaml: Option<&Path>, env: Env<'_>) -> Result<Settings, Problems> {
    let env = |name: &str| {
        env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    load(&Source { yaml, directory: Path::new(directory), env: &env })
}

/// The files of a folder with this extension, in order; never none.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    files
}

/// Compares the problems of `result` with the snapshot `name` in `folder`.
#[track_caller]
fn check_problems(folder: &str, name: &str, result: Result<Settings, Problems>) {
    let text = match result {
        Ok(_) => panic!("{name} is valid"),
        Err(problems) => problems.to_string(),
    };
    assert!(!text.contains(CANARY), "{name} tells a secret:\n{text}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new("../..").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn valid(name: &str) -> Settings {
    let folder = format!("{DATA}/valid");
    let credentials = Path::new(DATA).canonicalize().unwrap().join("credentials");
    let env = [SECRETS[0], ("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())];
    match load_with(&folder, Some(Path::new(name)), &env) {
        Ok(settings) => settings,
        Err(problems) => panic!("{name}:\n{problems}"),
    }
}

#[test]
fn valid_files_load() {
    for file in files(&format!("{DATA}/valid"), "yaml") {
        valid(file.file_name().unwrap().to_str().unwrap());
    }
}

#[test]
fn invalid_files_say_what_to_write() {
    let folder = format!("{DATA}/invalid");
    for file in files(&folder, "yaml") {
        let name = file.file_name().unwrap();
        let result = load_with(&folder, Some(Path::new(name)), &SECRETS[..2]);
        check_problems(&folder, name.to_str().unwrap(), result);
    }
}

#[test]
fn invalid_server_lists_say_what_to_write() {
    let folder = format!("{DATA}/invalid");
    for file in files(&folder, "json") {
        let name = file.file_name().unwrap().to_str().unwrap();
        let env = [ZERO[0], ("TINYSCALE_SERVERS", name)];
        check_problems(&folder, name, load_with(&folder, None, &env));
    }
}

#[test]
fn an_invalid_environment_says_what_to_set() {
    let folder = format!("{DATA}/environment");
    let everything = Some("../valid/everything.yaml");
    let smallest = Some("../valid/smallest.yaml");
    let list = ZERO[1];
    let cases: &[(&str, Option<&str>, Env<'_>)] = &[
        ("nothing", None, &[]),
        ("empty-secret", None, &[("TINYSCALE_SECRET", ""), list]),
        ("secret-file-missing", None, &[("TINYSCALE_SECRET_FILE", "secret"), list]),
        ("two-secrets", None, &[ZERO[0], ("TINYSCALE_SECRET_FILE", "secret"), list]),
        ("bad-port", None, &[ZERO[0], list, ("PORT", "70000")]),
        (
            "bad-values",
            None,
            &[
                ZERO[0],
                list,
                ("TINYSCALE_LISTEN", "0.0.0.0, :80,[::]:90,[::]:90"),
                ("TINYSCALE_PUBLIC_URL", "bbb.example.org"),
                ("TINYSCALE_PROBE_INTERVAL", "5"),
                ("TINYSCALE_PROBE_DOWN_AFTER", "-1"),
                ("TINYSCALE_THREADS", "many"),
            ],
        ),
        (
            "contradictions",
            everything,
            &[
                SECRETS[0],
                ZERO[0],
                list,
                ("TINYSCALE_LISTEN", "[::]:3005"),
                ("TINYSCALE_PUBLIC_URL", "https://other.example.org"),
                ("TINYSCALE_PROBE_INTERVAL", "5s"),
                ("TINYSCALE_TIMEOUTS_CALL", "21s"),
                ("TINYSCALE_THREADS", "4"),
            ],
        ),
        ("other-secret", smallest, &[("TINYSCALE_SECRET", "CANARY-other")]),
        ("no-such-config", Some("tinyscale.yaml"), &[ZERO[0]]),
    ];
    for (name, yaml, env) in cases {
        check_problems(&folder, name, load_with(&folder, yaml.map(Path::new), env));
    }
}

fn addresses(settings: &Settings) -> Vec<String> {
    settings.listen.iter().map(|listen| listen.address.to_string()).collect()
}

#[test]
fn two_variables_and_a_list_are_enough() {
    for (port, expected) in
        [(None, "[::]:3005"), (Some("4000"), "[::]:4000"), (Some(""), "[::]:3005")]
    {
        let folder = format!("{DATA}/files");
        let mut env = vec![("TINYSCALE_SECRET", "CANARY-front")];
        env.extend(port.map(|port| ("PORT", port)));
        let settings = load_with(&folder, None, &env).unwrap();
        assert_eq!(addresses(&settings), [expected]);
        assert!(settings.listen[0].without_ipv6.is_some(), "nobody chose this address");
        let urls: Vec<_> = settings.servers.iter().map(|s| s.spec.url.to_string()).collect();
        let api = "bigbluebutton/api";
        let expected = ["1", "2"].map(|n| format!("http://bbb{n}.schule.de/{api}"));
        assert_eq!(urls, expected);
        assert_eq!(settings.servers[0].spec.name.as_str(), "bbb1.schule.de");
        assert_eq!(settings.servers[1].spec.name.as_str(), "two");
        assert_eq!(settings.servers[1].spec.weight, 2.5);
        assert_eq!(settings.probe, ProbeSettings::default());
        assert_eq!(settings.timeouts, Timeouts::default());
        assert_eq!(settings.limits, Limits::default());
    }
}

#[test]
fn the_example_list_is_valid() {
    let env = [ZERO[0], ("TINYSCALE_SERVERS", "servers.json.example")];
    assert_eq!(load_with("", None, &env).unwrap().servers.len(), 2);
}

#[test]
fn a_port_counts_only_without_an_address() {
    let env = [SECRETS[0], ("PORT", "4000")];
    let folder = format!("{DATA}/valid");
    let settings = load_with(&folder, Some(Path::new("everything.yaml")), &env).unwrap();
    assert_eq!(addresses(&settings), ["[::1]:8080", "127.0.0.1:8080"]);
    assert!(settings.listen.iter().all(|listen| listen.without_ipv6.is_none()));
    assert_eq!(settings.listen[1].place, "everything.yaml:3:14");
}

#[test]
fn the_environment_fills_gaps_and_may_repeat_the_file() {
    let folder = format!("{DATA}/valid");
    let env = [
        ("TINYSCALE_SECRET", "CANARY-front"),
        ("TINYSCALE_THREADS", "7"),
        ("TINYSCALE_PROBE_UP_AFTER", "9"),
    ];
    let settings = load_with(&folder, Some(Path::new("smallest.yaml")), &env).unwrap();
    assert_eq!((settings.threads, settings.probe.up_after), (7, 9));
    assert_eq!(settings.secrets.len(), 1);
}

#[test]
fn a_secret_file_may_end_in_a_line_break() {
    let env = [("TINYSCALE_SECRET_FILE", "secret")];
    let settings = load_with(&format!("{DATA}/files"), None, &env).unwrap();
    let expected = tinyscale::bbb::secret::Secret::new("CANARY-from-file").unwrap();
    assert!(settings.secrets[0].is_same(&expected));
}

#[test]
fn everything_arrives() {
    let settings = valid("everything.yaml");
    assert_eq!(settings.public_url.as_deref(), Some("https://bbb.example.org"));
    let folder = Path::new(DATA).join("valid");
    assert_eq!(settings.state_dir, Some(folder.join("state")));
    let tls: Vec<_> = settings.servers.iter().map(|server| server.tls.clone()).collect();
    let ca = TlsCheck::Ca(folder.join("../files/ca.pem"));
    assert_eq!(tls, [ca, TlsCheck::Skip, TlsCheck::System]);
    let names = settings.servers.iter().map(|server| server.spec.algorithm.name());
    assert_eq!(names.collect::<Vec<_>>(), ["sha512", "sha256", "sha1"]);
    assert_eq!(
        settings.probe,
        ProbeSettings {
            interval: Duration::from_secs(60),
            timeout: Duration::from_millis(2500),
            backoff_max: Duration::from_secs(3600),
            down_after: 1,
            up_after: 1,
        }
    );
    assert_eq!(
        settings.timeouts,
        Timeouts {
            connect: Duration::from_secs(1),
            create: Duration::from_secs(300),
            call: Duration::from_secs(20),
            fan_out: Duration::from_secs(3),
        }
    );
    assert_eq!(
        settings.limits,
        Limits {
            documents_bytes: 20 * 1024 * 1024,
            text_tracks_bytes: 100 * 1024 * 1024,
            other_bodies_bytes: 64 * 1024,
        }
    );
    let freshness =
        Freshness { meeting_info: Duration::from_secs(2), meeting_running: Duration::ZERO };
    assert_eq!(settings.freshness, freshness);
    let shown: Vec<_> = settings.trusted_proxies.networks.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
    assert_eq!(settings.trusted_proxies.header, ProxyHeader::Forwarded);
    let headers = SecurityHeaders { enabled: false, hsts: Duration::from_secs(2 * 24 * 60 * 60) };
    assert_eq!(settings.security_headers, headers);
    assert!(!settings.heal_create_time);
    let networks = Networks { public: true, private: false, loopback: true };
    assert_eq!(settings.callbacks.networks, networks);
    assert_eq!(settings.hooks, HookSettings { form: Form::Json, algorithm: Algorithm::Sha256 });
    let process = &settings.process;
    assert!(process.run_dir.as_ref().is_some_and(|path| path.ends_with("valid/run")));
    assert!(process.reload_on_change && process.upgrade_deadline == Duration::from_secs(90));
    assert_eq!((settings.threads, settings.grace_period), (3, Duration::ZERO));
    assert!(settings.strict);
}

#[test]
fn everything_about_placement_arrives() {
    let settings = valid("everything.yaml");
    assert_eq!(settings.balance.failover_after, None);
    assert_eq!(settings.balance.policy, Policy::RoundRobin);
    let weights = Weights {
        meeting: 3.0,
        voice: 0.5,
        video: 0.02,
        cameras_max: 9,
        giant: 50,
        two_giants: 0.0,
    };
    assert_eq!(settings.balance.weights, weights);
    assert_eq!(settings.balance.slow_start, Duration::ZERO);
    assert!(!settings.balance.all_tagged_open);
    let specs: Vec<_> = settings.servers.iter().map(|server| &server.spec).collect();
    assert_eq!(specs[0].capacity, Capacity { people: Some(300), meetings: Some(40) });
    assert_eq!(specs[1].capacity, Capacity { people: None, meetings: Some(1) });
    assert_eq!(specs[0].tags, ["big", "north"].map(|tag| Tag::new(tag).unwrap()));
    assert!(specs[2].tags.is_empty());
    assert_eq!(valid("long-interval.yaml").probe.backoff_max, Duration::from_secs(600));
}

#[test]
fn listeners_arrive_with_what_is_usual_for_each() {
    let settings = valid("listeners.yaml");
    let folder = Path::new(DATA).join("valid");
    let shown: Vec<_> = settings.listen.iter().map(|l| (l.redirect, l.http2, l.mode)).collect();
    assert_eq!(
        shown,
        [
            (Redirect::Off, true, 0o660),
            (Redirect::All, false, 0o660),
            (Redirect::Browsers, true, 0o660),
            (Redirect::Off, false, 0o600),
        ]
    );
    let tls = settings.listen[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].cert, folder.join("../files/ca.pem"));
    assert_eq!(tls.certificates[0].place, "listeners.yaml:7:22");
    let acme = tls.acme.as_ref().unwrap();
    assert_eq!(acme.domains, ["bbb.example.org", "www.example.org"]);
    assert_eq!(acme.directory, "https://acme.test/dir");
    assert_eq!(acme.ca, Some(folder.join("../files/ca.pem")));
    let networks = settings.listen[0].proxy_protocol.as_ref().unwrap();
    assert_eq!(networks[0].to_string(), "10.0.0.0/8");
    let unix = format!("unix:{}", folder.join("http.sock").display());
    assert_eq!(settings.listen[3].address.to_string(), unix);
}

const REFERENCE: &str = "conf/tinyscale.yaml";

fn reference(text: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tinyscale.yaml"), text).unwrap();
    let env = [
        ("TINYSCALE_SECRET", "CANARY-front"),
        ("BBB1_SECRET", "CANARY-1"),
        ("BBB2_SECRET", "CANARY-2"),
    ];
    match load_with(folder.path().to_str().unwrap(), Some(Path::new("tinyscale.yaml")), &env) {
        Ok(settings) => settings,
        Err(problems) => panic!("{problems}"),
    }
}

/// The reference with every setting that is commented out: `#key`, and `#  key` within a group.
fn uncommented(text: &str) -> String {
    let is_key =
        |rest: &str| rest.starts_with(|c: char| "-#".contains(c) || c.is_ascii_lowercase());
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if is_key(rest.strip_prefix("  ").unwrap_or(rest)) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reference_is_valid_and_shows_the_defaults() {
    let text = std::fs::read_to_string(REFERENCE).unwrap();
    let (plain, full) = (reference(&text), reference(&uncommented(&text)));
    assert_eq!(full.public_url.as_deref(), Some("https://bbb.example.org"));
    assert!(full.state_dir.is_some());
    assert_eq!(addresses(&plain), addresses(&full));
    assert_eq!(plain.balance, full.balance);
    assert_eq!(plain.probe, full.probe);
    assert_eq!(plain.timeouts, full.timeouts);
    assert_eq!(plain.callbacks, full.callbacks);
    assert_eq!(plain.hooks, full.hooks);
    assert_eq!(plain.security_headers, full.security_headers);
    assert!(full.process.run_dir.is_some());
    assert_eq!(plain.process.reload_on_change, full.process.reload_on_change);
    assert_eq!(plain.process.upgrade_deadline, full.process.upgrade_deadline);
    assert_eq!(plain.trusted_proxies.header, full.trusted_proxies.header);
    assert_eq!(plain.grace_period, full.grace_period);
    assert_eq!(plain.strict, full.strict);
    let specs = |server: usize| {
        let settings = &plain.servers[server];
        (settings.spec.weight, settings.spec.algorithm, settings.tls.clone())
    };
    assert_eq!(specs(0), specs(1), "what is written at the first server is the default");
}

#[test]
fn the_reference_names_every_variable_at_its_key() {
    let text = std::fs::read_to_string(REFERENCE).unwrap();
    let full = uncommented(&text);
    for variable in VARIABLES {
        assert!(text.contains(variable.name), "{}", variable.name);
        let mut rest = full.as_str();
        for part in variable.key.split('.') {
            let key = format!("{part}:");
            let at = rest.lines().position(|line| line.trim_start().starts_with(&key));
            let at = at.unwrap_or_else(|| panic!("{} has no {}", REFERENCE, variable.key));
            rest = &rest[rest.lines().take(at).map(|line| line.len() + 1).sum::<usize>()..];
        }
        let is_yaml_text = !variable.default.contains(' ') && variable.name != "PORT";
        if is_yaml_text && variable.name != "TINYSCALE_SERVERS" {
            let line = rest.lines().take(2).collect::<String>();
            assert!(line.contains(variable.default), "{}: {line}", variable.name);
        }
    }
}

#[test]
fn every_variable_is_read_and_no_other() {
    let asked = RefCell::new(BTreeSet::new());
    let env = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    load(&Source { yaml: None, directory: Path::new(DATA), env: &env }).unwrap_err();
    let known = VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    assert_eq!(*asked.borrow(), known);
    // All but these take any text.
    let free =
        ["TINYSCALE_SECRET", "TINYSCALE_STATE_DIR", "TINYSCALE_RUN_DIR", "TINYSCALE_ACCESS_LOG"];
    for variable in VARIABLES.iter().filter(|variable| !free.contains(&variable.name)) {
        let mut env = vec![(variable.name, "$?")];
        env.extend(ZERO.into_iter().filter(|(name, _)| !variable.name.starts_with(name)));
        let problems = load_with(&format!("{DATA}/invalid"), None, &env).unwrap_err();
        let text = problems.to_string();
        let blamed = text.contains(variable.name) && problems.iter().count() == 1;
        assert!(blamed, "{}: {text}", variable.name);
    }
}

#[test]
fn no_slip_of_the_pen_tells_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    let yaml = "secrets:\n  - CANARY-0815\n  - \"CANARY-4711\"\nservers:\n  - { url: \
                https://bbb1.example.org, secret: CANARY-1 }\n  - url: https://bbb2.example.org\n    \
                secret: 'CANARY-2'\n";
    let json = "[{\"host\": \"http://bbb1.schule.de\", \"secret\": \"CANARY-1\"}]";
    let env = [("TINYSCALE_SECRET", "CANARY-0815"), ("TINYSCALE_SERVERS", "servers.json")];
    let mut refused = 0;
    for (name, text) in [("tinyscale.yaml", yaml), ("servers.json", json)] {
        let slips = [
            "", ":", ": ", "\"", "'", "[", "]", "{", "}", "&", "*", "!", "#", "\n", "\t", ",",
            "- ", "@",
        ];
        for (at, slip) in (0..text.len()).flat_map(|at| slips.map(|slip| (at, slip))) {
            for cut in [0, 8] {
                let rest = &text[(at + cut).min(text.len())..];
                std::fs::write(folder.path().join(name), [&text[..at], slip, rest].concat())
                    .unwrap();
                let path = name.ends_with("yaml").then_some(Path::new(name));
                let env = if path.is_some() { &env[..1] } else { &env[..] };
                if let Err(problems) = load_with(directory, path, env) {
                    refused += 1;
                    // A slip may well cut the word itself.
                    let told = problems.to_string();
                    let told = ["CANARY", "0815", "4711"].iter().any(|part| told.contains(part));
                    assert!(!told, "{slip:?} at {at}:\n{problems}");
                }
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}
