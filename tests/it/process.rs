//! The program as operators know it: a real process with an environment of its own, in a folder of its own.
//! Every output of every process here is searched for `CANARY`, which all secrets, names and IDs hold.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use sim::{Fault, Sim, SimConfig};
use tinyscale::bbb::checksum::{self, Algorithm};
use tinyscale::bbb::secret::Secret;
use tinyscale::config::environment::VARIABLES;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};

use crate::harness::{Answer, DEADLINE, fetch, http, raw, wait_for};

const CANARY: &str = "CANARY";
pub(crate) const FRONT: &str = "CANARY-front";

/// Somebody who starts the program.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) folder: Arc<tempfile::TempDir>,
    env: Vec<(OsString, OsString)>,
    args: Vec<OsString>,
}

/// A running program, ended when dropped.
pub(crate) struct Process {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    reading: Vec<tokio::task::JoinHandle<()>>,
    _folder: Arc<tempfile::TempDir>,
}

/// What is left of one that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Operator {
    /// In an empty folder, with nothing but the secret and any free port.
    pub(crate) fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let me = Self { folder, env: Vec::new(), args: Vec::new() };
        me.with("TINYSCALE_SECRET", FRONT).with("PORT", "0")
    }

    /// In front of `sims`, listed in a `servers.json`; impatient, so that tests are quick, and talkative.
    pub(crate) fn of(sims: &[Sim]) -> Self {
        Self::new()
            .file("servers.json", servers_json(sims))
            .with("TINYSCALE_LOG", "trace")
            .with("TINYSCALE_THREADS", "1")
            .with("TINYSCALE_PROBE_INTERVAL", "100ms")
            .with("TINYSCALE_PROBE_BACKOFF_MAX", "500ms")
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.args = args.map(OsString::from).to_vec();
        self
    }

    /// Arguments after those it has.
    pub(crate) fn more(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(OsString::from));
        self
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    pub(crate) fn start(&self) -> Process {
        self.start_at(Path::new(env!("CARGO_BIN_EXE_tinyscale")))
    }

    /// Starts the program that lies at `path`.
    pub(crate) fn start_at(&self, path: &Path) -> Process {
        self.start_as(Command::new(path).args(&self.args))
    }

    fn start_as(&self, command: &mut Command) -> Process {
        let mut child = command
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (out, reading_out) = collect(child.stdout.take().unwrap());
        let (err, reading_err) = collect(child.stderr.take().unwrap());
        Process {
            child,
            out,
            err,
            reading: vec![reading_out, reading_err],
            _folder: self.folder.clone(),
        }
    }

    /// Starts it and waits for its end.
    pub(crate) async fn run(&self) -> Ended {
        self.start().end().await
    }

    /// Starts it, and expects it to refuse with exit code 1 and `words` on standard error, in order.
    #[track_caller]
    pub(crate) fn refused<const N: usize>(
        self,
        words: [&'static str; N],
    ) -> impl Future<Output = Ended> {
        let at = std::panic::Location::caller();
        async move {
            let ended = self.run().await;
            let mut rest = ended.err.as_str();
            for word in words {
                let found = rest.split_once(word);
                rest = found.unwrap_or_else(|| panic!("{at}: no {word:?} in:\n{}", ended.err)).1;
            }
            assert_eq!(ended.code, Some(1), "{at}: {}", ended.err);
            ended
        }
    }
}

/// A `servers.json` that lists them.
pub(crate) fn servers_json(sims: &[Sim]) -> String {
    let list = sims.iter().map(|sim| {
        let (url, secret, name) = (sim.url(), sim.secret(), sim.name());
        format!(r#"{{"host": "{url}", "secret": "{secret}", "name": "{name}"}}"#)
    });
    format!("[{}]", list.collect::<Vec<_>>().join(",\n"))
}

fn collect(
    mut from: impl tokio::io::AsyncRead + Unpin + Send + 'static,
) -> (Arc<Mutex<String>>, tokio::task::JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = text.clone();
    let reading = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            kept.lock().push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    });
    (text, reading)
}

impl Process {
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the end of this process; others that it started may go on.
    pub(crate) async fn leave(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        let Ok(status) = ended else { panic!("it does not end:\n{}{}", self.out(), self.err()) };
        status.unwrap().code()
    }

    pub(crate) fn out(&self) -> String {
        self.out.lock().clone()
    }

    pub(crate) fn err(&self) -> String {
        self.err.lock().clone()
    }

    /// Waits for words on one of its outputs.
    pub(crate) async fn says(&self, words: &str) {
        let said = || self.out().contains(words) || self.err().contains(words);
        wait_for(&format!("{words:?}"), said).await;
    }

    /// Where it listens, once it does.
    pub(crate) async fn address(&self) -> SocketAddr {
        let listens = || {
            let out = self.out();
            let (_, rest) = out.split_once("listening on ")?;
            let line = rest.split_once('\n')?.0;
            Some((Ipv4Addr::LOCALHOST, line.rsplit(':').next()?.parse().unwrap()).into())
        };
        let ended = async {
            while listens().is_none() && self.reading.iter().any(|reading| !reading.is_finished()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, ended).await.unwrap();
        listens().unwrap_or_else(|| panic!("it does not listen:\n{}{}", self.out(), self.err()))
    }

    /// Calls it as a front end does, by GET.
    pub(crate) async fn get(&self, call: &str, query: &str) -> Answer {
        fetch(http().get(url(self.address().await, call, query))).await
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let status = match tokio::time::timeout(DEADLINE, self.child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("it does not end:\n{}{}", self.out(), self.err()),
        };
        for reading in std::mem::take(&mut self.reading) {
            reading.await.unwrap();
        }
        Ended { code: status.code(), out: self.out(), err: self.err() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for text in [self.out(), self.err()] {
            let told = [CANARY, "checksum=", "panicked", "RUST_BACKTRACE"];
            let told = told.iter().find(|word| text.contains(**word));
            if let Some(word) = told
                && !std::thread::panicking()
            {
                panic!("it says {word}:\n{text}");
            }
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

pub(crate) fn url(address: SocketAddr, call: &str, query: &str) -> String {
    let query = checksum::sign(call, query, Algorithm::Sha256, &Secret::new(FRONT).unwrap());
    format!("http://{address}/bigbluebutton/api/{call}?{query}")
}

pub(crate) async fn sims(count: usize) -> Vec<Sim> {
    sim::start_many(count, |n| SimConfig {
        name: format!("bbb{}", n + 1),
        secret: format!("CANARY-{}", n + 1),
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

/// A port that nobody else gets while the socket lives, and that a program that listens still can take.
pub(crate) fn reserve(port: u16) -> std::io::Result<(TcpSocket, u16)> {
    let socket = TcpSocket::new_v6()?;
    socket.set_reuseaddr(true)?;
    socket.bind((std::net::Ipv6Addr::UNSPECIFIED, port).into())?;
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}

// ---- Starting ---------------------------------------------------------------------------------------

#[tokio::test]
async fn a_list_and_a_secret_are_enough() {
    let sims = sims(2).await;
    let (_reserved, port) = reserve(0).unwrap();
    // A file of variables may leave a line break at the end of one.
    let secret = format!("{FRONT}\n");
    let operator = Operator::of(&sims).without("TINYSCALE_LOG").with("TINYSCALE_SECRET", secret);
    let process = operator.with("PORT", port.to_string()).start();
    assert_eq!(process.address().await.port(), port);
    process.get("create", "meetingID=CANARY-room&name=CANARY").await.assert_success();
    assert_eq!(sims.iter().map(Sim::meeting_count).sum::<usize>(), 1);
    assert!(process.out().contains("bbb1    http://127.0.0.1"), "{}", process.out());
    let wrong = process.err().lines().any(|line| !line.contains(" INFO "));
    assert!(!wrong, "{}", process.err());
}

#[tokio::test]
async fn the_port_is_3005_unless_said_otherwise() {
    // Another program may have it; then this cannot be tried here.
    let Ok((reserved, _)) = reserve(3005) else { return };
    let sims = sims(1).await;
    let process = Operator::of(&sims).without("PORT").start();
    process.says("3005").await;
    let text = format!("{}{}", process.out(), process.err());
    assert!(
        text.contains("listening on [::]:3005") || text.contains("another program uses"),
        "{text}"
    );
    drop(reserved);
}

#[tokio::test]
async fn a_configuration_file_is_named_with_c() {
    let sims = sims(1).await;
    let yaml = format!(
        "secrets: [{{ env: FRONT }}]\nlisten: [{{ address: \"127.0.0.1:0\" }}]\nservers:\n  - {{ url: \
         \"{}\", secret: \"{}\", name: one }}\n",
        sims[0].url(),
        sims[0].secret()
    );
    let operator = Operator::new()
        .without("TINYSCALE_SECRET")
        .without("PORT")
        .with("FRONT", FRONT)
        .file("servers.json", "not used")
        .file("ours.yaml", yaml);
    for args in [["-c", "ours.yaml", "-t"], ["check", "-c", "ours.yaml"]] {
        let ended = operator.clone().args(args).run().await;
        assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "ok\n", ""));
    }
    assert_eq!(sims[0].call_count("getMeetings"), 0, "a check calls nobody");
    let process = operator.args(["-c", "ours.yaml"]).start();
    process.get("create", "meetingID=CANARY&name=CANARY").await.assert_success();
    assert!(process.out().contains("\none "), "{}", process.out());
}

#[tokio::test]
async fn a_check_says_ok_or_what_is_wrong() {
    let list = r#"[{"host": "http://bbb1.example.org", "secret": "CANARY-1"}]"#;
    let ended = Operator::new().file("servers.json", list).args(["-t"]).run().await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "ok\n"));
    let operator = Operator::new().file("servers.json", "[{\n\"host\": 7}]").args(["check"]);
    let ended = operator.refused(["servers.json:2:9", "write instead"]).await;
    assert_eq!(ended.out, "");
}

#[tokio::test]
async fn help_lists_every_variable() {
    let ended = Operator::new().args(["--help"]).run().await;
    assert_eq!(ended.code, Some(0));
    let known = VARIABLES.iter().map(|variable| variable.name);
    for name in known.chain(["TINYSCALE_LOG", "TINYSCALE_ADMIN_TOKEN", "SSL_CERT_FILE"]) {
        let listed = ended.out.lines().any(|line| line.split_whitespace().next() == Some(name));
        assert!(listed, "{name} is not in:\n{}", ended.out);
    }
}

#[tokio::test]
async fn what_is_wrong_at_the_start_is_said_with_file_and_line() {
    let new = Operator::new;
    let list = |text: &str| new().file("servers.json", text);
    let good = r#"[{"host": "http://127.0.0.1:9", "secret": "CANARY-1"}]"#;
    let set = |name: &str, value: &str| list(good).with(name, value);

    list(good)
        .without("TINYSCALE_SECRET")
        .refused(["TINYSCALE_SECRET: is not set", "instead"])
        .await;
    set("TINYSCALE_SECRET", "").refused(["TINYSCALE_SECRET: is empty", "write instead"]).await;
    set("TINYSCALE_SECRET", "CANARY-1\nCANARY-2").refused(["SECRET:", "more than one line"]).await;
    set("PORT", "abc").refused(["PORT: is not a port"]).await;
    set("PORT", "70000").refused(["PORT: is not a port"]).await;
    set("TINYSCALE_LOG", "loud").refused(["TINYSCALE_LOG: is not a level"]).await;
    new().refused(["servers.json: there is no such file"]).await;
    list("[]").refused(["servers.json:1:1: there are no servers"]).await;
    list("[\n{\"host\": \"http://127.0.0.1:9\",}]").refused(["servers.json:2"]).await;
    list(&good[..30]).refused(["servers.json:1"]).await;
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    new().file("servers.json", [&[0xff, 0xfe], &utf16[..]].concat()).refused(["UTF-8"]).await;
    let folder = new();
    std::fs::create_dir(folder.folder.path().join("servers.json")).unwrap();
    folder.refused(["servers.json: is a folder"]).await;
    list(good).args(["-c", "none.yaml"]).refused(["none.yaml: there is no such file"]).await;
    list(good).args(["-c", "."]).refused([".: is a folder"]).await;
    let ended = list(good).args(["--colour"]).run().await;
    assert_eq!(ended.code, Some(2), "{}", ended.err);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_not_taken_for_nothing() {
    use std::os::unix::ffi::OsStringExt;
    let latin1 = OsString::from_vec(b"sch\xf6n".to_vec());
    Operator::new()
        .with("TINYSCALE_SECRET", latin1)
        .refused(["TINYSCALE_SECRET: is not text"])
        .await;
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_said() {
    use std::os::unix::fs::PermissionsExt;
    let operator = Operator::new().file("servers.json", "[]");
    let path = operator.folder.path().join("servers.json");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&path).is_ok() {
        return; // The superuser reads everything.
    }
    operator.refused(["servers.json: the user tinyscale runs as may not read"]).await;
}

#[tokio::test]
async fn an_address_in_use_is_an_error_and_not_a_listener_less() {
    let sims = sims(1).await;
    let taken = std::net::TcpListener::bind("[::]:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let expected =
        ["environment variable PORT: cannot listen on [::]:", "another program uses port"];
    Operator::of(&sims).with("PORT", &port).refused(expected).await;
    assert_eq!(sims[0].call_count("getMeetings"), 0);
    let (_reserved, port) = reserve(0).unwrap();
    for pair in [["[::]", "0.0.0.0"], ["0.0.0.0", "[::]"], ["127.0.0.1", "[::]"]] {
        let both = pair.map(|ip| format!("{ip}:{port}")).join(",");
        let operator = Operator::of(&sims).without("PORT").with("TINYSCALE_LISTEN", both);
        operator.refused(["TINYSCALE_LISTEN: cannot listen on", "they overlap"]).await;
    }
    let yaml = "secrets: [{ env: TINYSCALE_SECRET }]\nservers: { file: servers.json }\nlisten:\n  - \
                address: 192.0.2.1:80\n";
    let operator = Operator::of(&sims).file("a.yaml", yaml).args(["-c", "a.yaml"]);
    operator
        .refused(["a.yaml:4:14: cannot listen on 192.0.2.1:80: this machine does not have"])
        .await;
}

#[tokio::test]
async fn nobody_has_to_read_what_it_prints() {
    let sims = sims(1).await;
    let (_reserved, port) = reserve(0).unwrap();
    let operator = Operator::of(&sims).with("PORT", port.to_string());
    let mut process = operator.start();
    // The other ends of its outputs close, as those of `tinyscale | head -0` do.
    for reading in std::mem::take(&mut process.reading) {
        reading.abort();
    }
    let connects = || std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    wait_for("it to listen", connects).await;
    let address = (Ipv4Addr::LOCALHOST, port).into();
    fetch(http().get(url(address, "getMeetings", ""))).await.assert_success();
}

// ---- The roll call ----------------------------------------------------------------------------------

#[tokio::test]
async fn every_server_is_called_and_shown() {
    let config = SimConfig {
        name: "old".to_owned(),
        secret: "CANARY-1".to_owned(),
        bbb_version: Some("2.7.3".to_owned()),
        ..SimConfig::default()
    };
    let shows = Sim::start(config).await.unwrap();
    fetch(http().get(shows.signed_url("create", "meetingID=one&name=nn"))).await.assert_success();
    let (_reserved, port) = reserve(0).unwrap();
    let hides = sims(1).await.remove(0);
    let list = format!(
        r#"[{{"host": "{}", "secret": "CANARY-1", "name": "old"}},
            {{"host": "{}", "secret": "CANARY-1", "name": "new"}},
            {{"host": "http://127.0.0.1:{port}", "secret": "CANARY-2", "name": "dead"}},
            {{"host": "http://no-such-host.invalid", "secret": "CANARY-2", "name": "typo"}}]"#,
        shows.url(),
        hides.url()
    );
    let process = Operator::of(&[]).file("servers.json", list).start();
    process.address().await;
    let out = process.out();
    let row = |name: &str| {
        let row = out.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
        row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(row("SERVER"), ["SERVER", "URL", "STATE", "BBB", "MEETINGS"], "{out}");
    assert_eq!(row("old")[1..], [&shows.url(), "ok", "2.7.3", "1"]);
    assert_eq!(row("new")[1..], [&hides.url(), "ok", "-", "0"]);
    assert!(row("dead")[2].starts_with("unreachable: no connection"), "{out}");
    assert_eq!(row("typo")[2], "unreachable: its name cannot be resolved");
    assert_eq!(shows.call_count("getMeetings"), shows.calls_of("getMeetings").len());
    assert!(shows.calls_of("getMeetings").iter().all(|call| call.checksum == Some(true)));
}

#[tokio::test]
async fn a_wrong_secret_ends_the_start_and_names_the_server() {
    let sims = sims(3).await;
    let operator = Operator::of(&sims);
    sims[1].set_secret("CANARY-other");
    let ended = operator.refused(["wrong secret for bbb2:", "bbb-conf --secret"]).await;
    assert!(ended.out.contains("wrong secret"), "the table is shown all the same: {}", ended.out);
}

#[tokio::test]
async fn a_server_that_is_away_at_the_start_gets_meetings_when_it_comes() {
    let sims = sims(2).await;
    sims[1].stop().await;
    let process = Operator::of(&sims).start();
    for n in 0..2 {
        let query = format!("meetingID=CANARY-{n}&name=CANARY");
        process.get("create", &query).await.assert_success();
    }
    assert_eq!(sims[0].meeting_count(), 2);
    sims[1].restart().await.unwrap();
    process.says("server is up; server=bbb2").await;
    for n in 2..4 {
        let query = format!("meetingID=CANARY-{n}&name=CANARY");
        process.get("create", &query).await.assert_success();
    }
    assert!(sims[1].meeting_count() > 0);
}

#[tokio::test]
async fn a_strict_start_wants_all_servers() {
    let sims = sims(2).await;
    sims[1].stop().await;
    Operator::of(&sims).args(["--strict"]).refused(["no answer from bbb2"]).await;
    sims[1].restart().await.unwrap();
    Operator::of(&sims).args(["--strict"]).start().address().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_roll_call() {
    for signal in [Signal::TERM, Signal::INT] {
        let sims = sims(1).await;
        sims[0].set_fault(Fault::Hang, None);
        let process = Operator::of(&sims).with("TINYSCALE_PROBE_TIMEOUT", "1h").start();
        wait_for("the call", || sims[0].call_count("getMeetings") > 0).await;
        process.signal(Signal::HUP);
        process.says("signal=HUP").await;
        process.signal(signal);
        assert_eq!(process.end().await.code, Some(0));
    }
}

// ---- Running and ending -----------------------------------------------------------------------------

#[tokio::test]
async fn after_a_kill_every_meeting_is_found_again() {
    let sims = sims(3).await;
    let operator = Operator::of(&sims);
    let process = operator.start();
    let homes = || -> Vec<Option<usize>> {
        let on =
            |n: usize| sims.iter().position(|sim| sim.meeting(&format!("CANARY-{n}")).is_some());
        (0..30).map(on).collect()
    };
    for n in 0..30 {
        process.get("create", &format!("meetingID=CANARY-{n}&name=CANARY")).await.assert_success();
    }
    let before = homes();
    process.signal(Signal::KILL);
    process.end().await;
    let process = operator.start();
    for n in 0..30 {
        let query = format!("meetingID=CANARY-{n}");
        process.get("getMeetingInfo", &query).await.assert_success();
        let again = process.get("create", &format!("{query}&name=CANARY")).await;
        assert_eq!(again.text("messageKey"), "duplicateWarning", "{again:?}");
        let join = process.get("join", &format!("{query}&fullName=CANARY&role=VIEWER")).await;
        assert!(join.header("location").starts_with(&sims[before[n].unwrap()].url()));
    }
    assert_eq!(homes(), before);
    assert_eq!(sims.iter().map(Sim::meeting_count).sum::<usize>(), 30, "none was made twice");
    let files: Vec<_> = std::fs::read_dir(operator.folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing but servers.json: {files:?}");
}

#[tokio::test]
async fn a_stop_lets_open_requests_finish_and_ends_with_the_last() {
    let sims = sims(1).await;
    let process = Operator::of(&sims).with("TINYSCALE_GRACE_PERIOD", "1h").start();
    let address = process.address().await;
    // A connection that is kept and idle holds nothing up.
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /bigbluebutton/api HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 4096]).await.unwrap() > 0);
    sims[0].set_fault_once(Fault::Delay(Duration::from_secs(2)), Some("create"));
    let slow = tokio::spawn(fetch(http().get(url(address, "create", "meetingID=CANARY&name=nn"))));
    wait_for("the create", || sims[0].call_count("create") > 0).await;
    process.signal(Signal::TERM);
    let refused = || std::net::TcpStream::connect(address).is_err();
    wait_for("new connections to be refused", refused).await;
    assert!(!slow.is_finished());
    slow.await.unwrap().assert_success();
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.err.contains("stopped; nothing is left to finish"), "{}", ended.err);
}

#[tokio::test]
async fn the_grace_period_ends_requests_that_do_not() {
    let sims = sims(1).await;
    let process = Operator::of(&sims).with("TINYSCALE_GRACE_PERIOD", "100ms").start();
    let address = process.address().await;
    sims[0].set_fault(Fault::Hang, Some("create"));
    let request = http().get(url(address, "create", "meetingID=CANARY&name=nn")).send();
    let hanging = tokio::spawn(request);
    wait_for("the create", || sims[0].call_count("create") > 0).await;
    process.signal(Signal::TERM);
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.err.contains("cut_off=1"), "{}", ended.err);
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn an_interrupt_ends_it_at_once_even_while_it_stops() {
    for first in [None, Some(Signal::TERM)] {
        let sims = sims(1).await;
        let process = Operator::of(&sims).with("TINYSCALE_GRACE_PERIOD", "1h").start();
        let address = process.address().await;
        sims[0].set_fault(Fault::Hang, Some("create"));
        tokio::spawn(http().get(url(address, "create", "meetingID=CANARY&name=nn")).send());
        wait_for("the create", || sims[0].call_count("create") > 0).await;
        if let Some(signal) = first {
            process.signal(signal);
            process.says("signal=TERM").await;
        }
        process.signal(Signal::INT);
        assert_eq!(process.end().await.code, Some(0));
    }
}

#[tokio::test]
async fn a_hangup_reads_the_configuration_anew_or_changes_nothing() {
    let sims = sims(2).await;
    let operator = Operator::of(&sims[..1]);
    let process = operator.start();
    process.address().await;
    operator.clone().file("servers.json", servers_json(&sims));
    process.signal(Signal::HUP);
    process.says("changed: server bbb2 is new").await;
    process.says("server is up; server=bbb2").await;

    operator.clone().file("servers.json", "[{\"host\": \"http://CANARY\"}, 7]");
    process.signal(Signal::HUP);
    process.says("is not used, the one before stays in force").await;
    process.says("servers.json:1:29").await;
    process.get("getMeetings", "").await.assert_success();
    assert!(sims.iter().all(|sim| sim.call_count("getMeetings") > 0));
}

#[tokio::test]
async fn quick_restarts_on_one_port_work() {
    let sims = sims(1).await;
    let (_reserved, port) = reserve(0).unwrap();
    let operator = Operator::of(&sims).with("PORT", port.to_string());
    for signal in [Signal::TERM, Signal::INT, Signal::KILL, Signal::QUIT].repeat(3) {
        let process = operator.start();
        process.get("getMeetings", "").await.assert_success();
        process.signal(signal);
        process.end().await;
    }
}

#[tokio::test]
async fn as_many_files_may_be_open_as_the_system_lets_us() {
    let sims = sims(1).await;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "ulimit -Sn 128; ulimit -Hn 512; exec \"$0\""]);
    let process = Operator::of(&sims).start_as(shell.arg(env!("CARGO_BIN_EXE_tinyscale")));
    process.address().await;
    let said = process.err();
    assert!(said.contains("limit of open files raised; from=128 to=512"), "{said}");
    let limits = format!("/proc/{}/limits", process.child.id().unwrap());
    let limits = std::fs::read_to_string(limits).unwrap();
    let row = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(row.split_whitespace().nth(3), Some("512"));
}

#[tokio::test]
async fn the_log_tells_nothing_of_what_clients_send() {
    let sims = sims(2).await;
    // Each call is to meet the server's failure, not an answer that was fresh before.
    let process = Operator::of(&sims)
        .with("TINYSCALE_TIMEOUTS_CALL", "500ms")
        .with("TINYSCALE_FRESHNESS", "0")
        .start();
    let address = process.address().await;
    let id = "meetingID=CANARY-room";
    process.get("create", &format!("{id}&name=CANARY&attendeePW=CANARY")).await.assert_success();
    process.get("join", &format!("{id}&fullName=CANARY&role=VIEWER&userID=CANARY")).await;
    for call in ["getMeetingInfo", "isMeetingRunning", "getMeetings", "getRecordings", "CANARY"] {
        process.get(call, id).await;
    }
    let home = sims.iter().find(|sim| sim.meeting("CANARY-room").is_some()).unwrap();
    for fault in [Fault::Hang, Fault::ResetMidBody, Fault::Status(500), Fault::Html200] {
        home.set_fault_once(fault, Some("getMeetingInfo"));
        process.get("getMeetingInfo", id).await;
    }
    fetch(http().get(url(address, "getMeetingInfo", id) + "x"))
        .await
        .assert_failed("checksumError");
    for broken in [
        "GET /bigbluebutton/api/join?fullName=CANARY&checksum=CANARY HTTP/9.9\r\n\r\n",
        "GET /bigbluebutton/api/join?fullName=CANARY CANARY\r\nHost: h\r\n\r\n",
        "CANARY\r\n\r\n",
        "POST /bigbluebutton/api/join?CANARY HTTP/1.1\r\nHost: h\r\nContent-Length: CANARY\r\n\r\n",
        "POST /bigbluebutton/api/join?CANARY HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "GET /?CANARY HTTP/1.1\r\nHost: h\r\nCANARY\r\n\r\n",
        "GET /bigbluebutton/api/join?CANARY HTTP/1.1\r\nHost: CANARY\r\nConnection: close\r\n\r\n",
        "CONNECT CANARY:443 HTTP/1.1\r\nHost: CANARY\r\n\r\n",
    ] {
        raw(address, broken.as_bytes()).await;
    }
    // Both ends of a connection that breaks in the middle of a header, and of a body.
    for cut in [
        "GET /bigbluebutton/api/join?fullName=CANARY HTTP/1.1\r\nX-A: CANARY",
        "POST /bigbluebutton/api/create?CANARY HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\nCANARY",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(cut.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    process.signal(Signal::TERM);
    let ended = process.end().await;
    assert!(ended.err.contains("call got no answer; call=getMeetingInfo"), "{}", ended.err);
    for line in ended.err.lines() {
        assert!(line.contains(" tinyscale"), "not our own: {line}");
    }
}

// ---- What it writes down ----------------------------------------------------------------------------

/// Waits until the file `name` in the folder of `operator` has that many lines, and returns them.
async fn lines_of(operator: &Operator, name: &str, count: usize) -> String {
    let path = operator.folder.path().join(name);
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    wait_for(&format!("{count} lines in {name}"), || read().lines().count() >= count).await;
    let text = read();
    assert!(text.lines().count() == count && !text.contains(CANARY), "{text}");
    text
}

#[tokio::test]
async fn usr1_opens_the_access_log_anew_and_the_end_writes_the_rest() {
    let sims = sims(1).await;
    let operator = Operator::of(&sims).with("TINYSCALE_ACCESS_LOG", "access.log");
    let process = operator.start();
    process.get("create", "meetingID=CANARY&name=CANARY").await.assert_success();
    lines_of(&operator, "access.log", 1).await;
    let at = |name: &str| operator.folder.path().join(name);
    std::fs::rename(at("access.log"), at("access.log.1")).unwrap();
    process.signal(Signal::USR1);
    wait_for("the new file", || at("access.log").exists()).await;
    process.get("getMeetings", "").await.assert_success();
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code, Some(0));
    assert!(lines_of(&operator, "access.log", 1).await.contains("getMeetings"));
    lines_of(&operator, "access.log.1", 1).await;
}

#[tokio::test]
async fn the_access_log_may_go_to_stdout() {
    let sims = sims(1).await;
    let operator = Operator::of(&sims).with("TINYSCALE_ACCESS_LOG", "stdout");
    let process = operator.with("TINYSCALE_ACCESS_LOG_FORMAT", "combined").start();
    process.get("create", "meetingID=CANARY&name=CANARY").await.assert_success();
    process.says("] \"GET /bigbluebutton/api/create HTTP/1.1\" 200 ").await;
    assert!(process.out().contains("\n127.0.0.0 - - ["), "{}", process.out());
}

/// The filter of conf/fail2ban finds those who are told off, and nobody else.
#[tokio::test]
async fn fail2ban_understands_the_log() {
    let sims = sims(1).await;
    let process = Operator::of(&sims).start();
    let address = process.address().await;
    process.get("create", "meetingID=CANARY&name=CANARY").await.assert_success();
    for _ in 0..3 {
        let forged = "create?meetingID=CANARY&security:%20client=192.0.2.1&checksum=CANARY";
        let forged = http().get(format!("http://{address}/bigbluebutton/api/{forged}"));
        fetch(forged).await.assert_failed("checksumError");
    }
    let twofold = b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\nX: y\r\n\r\n";
    raw(address, twofold).await;
    process.says("reason=malformed").await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::fs::write(&log, process.err()).unwrap();
    let filter = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/fail2ban/filter.d/tinyscale.conf");
    let mut command = Command::new("fail2ban-regex");
    let found = command.args(["-o", "ip"]).arg(&log).arg(filter).output().await.unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.lines().collect::<Vec<_>>(), ["127.0.0.1"; 4], "{}", process.err());
}
