//! The processes, what is true about them, and what was counted.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::Plan;
use crate::client::{Client, SECRET};
use crate::process::{Slot, listening};
use crate::truth::{Disturbed, Living};

/// One server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) control: String,
    control_address: SocketAddr,
    journal: PathBuf,
    pub(crate) slot: Slot,
    pub(crate) disturbed: Disturbed,
}

/// All of it.
pub(crate) struct World {
    pub(crate) servers: Vec<Server>,
    pub(crate) gateway: SocketAddr,
    pub(crate) tinyscale: Slot,
    pub(crate) disturbed: Disturbed,
    pub(crate) client: Client,
    pub(crate) count: Count,
    /// What is known of each room.
    pub(crate) rooms: Vec<Mutex<Option<Living>>>,
    /// No more disturbances.
    pub(crate) calm: AtomicBool,
    /// Front ends stop.
    pub(crate) over: AtomicBool,
    markers: AtomicU64,
    /// Markers of the `end` calls that were sent.
    pub(crate) ends: Mutex<HashMap<String, u32>>,
    read: Mutex<Vec<u64>>,
    makers: Mutex<HashMap<String, Vec<usize>>>,
    folder: tempfile::TempDir,
}

/// Numbers and, of what is wrong, the first few in words.
pub(crate) struct Count {
    begun: tokio::time::Instant,
    diary: Mutex<std::fs::File>,
    numbers: Mutex<BTreeMap<String, u64>>,
    wrongs: Mutex<BTreeMap<&'static str, Vec<String>>>,
}

/// The kinds of wrong that are counted; all must be 0.
pub(crate) const WRONGS: [&str; 4] = [
    "`end` calls received that no client sent",
    "meetings alive on two servers",
    "meetings unreachable though their server is up",
    "wrong answers",
];
pub(crate) const END: &str = WRONGS[0];
pub(crate) const DOUBLE: &str = WRONGS[1];
pub(crate) const UNREACHABLE: &str = WRONGS[2];
pub(crate) const ANSWER: &str = WRONGS[3];

impl Count {
    fn new(folder: &Path) -> Self {
        Self {
            begun: tokio::time::Instant::now(),
            diary: Mutex::new(std::fs::File::create(folder.join("diary.log")).unwrap()),
            numbers: Mutex::default(),
            wrongs: Mutex::default(),
        }
    }

    /// Notes what was done and when, for whoever looks for the cause of something.
    pub(crate) fn note(&self, what: &str) {
        let at = self.begun.elapsed().as_secs_f64();
        writeln!(self.diary.lock(), "{at:.2} {what}").unwrap();
    }

    pub(crate) fn add(&self, what: &str) {
        *self.numbers.lock().entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn mistake(&self, kind: &'static str, mut what: String) {
        what.insert_str(0, &format!("after {:.1} s, ", self.begun.elapsed().as_secs_f64()));
        eprintln_at(kind, &what);
        self.wrongs.lock().entry(kind).or_default().push(what);
    }

    pub(crate) fn wrong(&self) -> bool {
        !self.wrongs.lock().is_empty()
    }

    pub(crate) fn wrongs(&self, kind: &str) -> Vec<String> {
        self.wrongs.lock().get(kind).cloned().unwrap_or_default()
    }

    pub(crate) fn numbers(&self) -> BTreeMap<String, u64> {
        self.numbers.lock().clone()
    }
}

#[expect(clippy::print_stderr, reason = "who waits sees at once what is wrong")]
fn eprintln_at(kind: &str, what: &str) {
    eprintln!("WRONG: {kind}: {what}");
}

/// An address that only this process uses: loopback has more than enough of them, so that no port is guessed.
fn address(last: u8, port: u16) -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, 64 | (high & 63), low, last), port))
}

impl World {
    pub(crate) async fn start(plan: &Plan) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let servers: Vec<Server> =
            (0..plan.servers).map(|number| server(number, folder.path())).collect();
        for server in &servers {
            server.start().await;
        }
        let gateway = address(1, 3005);
        configure(&servers, gateway, folder.path());
        let program = [plan.program.as_str(), "-c", "tinyscale.yaml"];
        let program = program.map(str::to_owned).to_vec();
        let world = Self {
            tinyscale: Slot::new(program, folder.path(), "tinyscale"),
            read: Mutex::new(vec![0; servers.len()]),
            servers,
            gateway,
            disturbed: Disturbed::default(),
            client: Client::new(gateway),
            count: Count::new(folder.path()),
            rooms: (0..plan.rooms).map(|_| Mutex::new(None)).collect(),
            calm: AtomicBool::new(false),
            over: AtomicBool::new(false),
            markers: AtomicU64::new(0),
            ends: Mutex::default(),
            makers: Mutex::default(),
            folder,
        };
        world.tinyscale.start();
        assert!(listening(gateway).await, "tinyscale does not start; see {}", world.path());
        world
    }

    fn path(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// Something to find a call by in the journals.
    pub(crate) fn marker(&self) -> String {
        format!("m{}x", self.markers.fetch_add(1, Ordering::SeqCst))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    /// The servers that received the create with this marker.
    pub(crate) fn makers(&self, marker: &str) -> Vec<usize> {
        let mut read = self.read.lock();
        let mut makers = self.makers.lock();
        for (number, (server, from)) in self.servers.iter().zip(read.iter_mut()).enumerate() {
            let text = from_offset(&server.journal, *from);
            // What was added since, up to the last whole line.
            let end = text.rfind('\n').map_or(0, |at| at + 1);
            for line in text[..end].lines() {
                if let Some((name, query)) = line.split_once('\t')
                    && name == "create"
                    && let Some(marker) = marker_of(query)
                {
                    makers.entry(marker.to_owned()).or_default().push(number);
                }
            }
            *from += end as u64;
        }
        makers.get(marker).cloned().unwrap_or_default()
    }

    /// The markers of all `end` calls that servers received.
    pub(crate) fn ends_received(&self) -> HashMap<String, u32> {
        let mut ends = HashMap::new();
        for server in &self.servers {
            let text = std::fs::read_to_string(&server.journal).unwrap_or_default();
            for line in text.lines() {
                if let Some(("end", query)) = line.split_once('\t') {
                    *ends.entry(marker_of(query).unwrap_or("none").to_owned()).or_default() += 1;
                }
            }
        }
        ends
    }

    /// Whether anything at all may have been hit since `from`.
    pub(crate) fn anything_since(&self, from: tokio::time::Instant) -> bool {
        self.disturbed.since(from) || self.servers.iter().any(|one| one.disturbed.since(from))
    }

    /// Ends all processes; logs are kept if something was wrong.
    pub(crate) async fn stop(&self, keep: bool) {
        self.tinyscale.kill();
        for server in &self.servers {
            server.slot.kill();
        }
        if keep {
            let kept = std::env::temp_dir().join(format!("chaos-{}", std::process::id()));
            let _ = std::fs::rename(self.folder.path(), &kept);
            println!("logs and journals: {}", kept.display());
        }
    }
}

impl Server {
    pub(crate) async fn start(&self) {
        self.slot.start();
        assert!(listening(self.control_address).await, "a simulated server does not start");
    }
}

fn from_offset(path: &Path, offset: u64) -> String {
    let mut text = String::new();
    let Ok(mut file) = std::fs::File::open(path) else { return text };
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

fn marker_of(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("meta_chaos="))
}

fn server(number: usize, folder: &Path) -> Server {
    let (last, name) = (10 + number as u8, format!("bbb{}", number + 1));
    let (address, control_address) = (address(last, 8090), address(last, 8089));
    let journal = folder.join(format!("{name}.journal"));
    let program = vec![
        std::env::current_exe().unwrap().display().to_string(),
        "--be-server".to_owned(),
        name.clone(),
        format!("secret-of-{name}"),
        address.to_string(),
        control_address.to_string(),
        journal.display().to_string(),
    ];
    Server {
        address,
        control: format!("http://{control_address}/servers/0"),
        control_address,
        journal,
        slot: Slot::new(program, folder, &name),
        disturbed: Disturbed::default(),
    }
}

/// Impatient, so that much happens in little time.
fn configure(servers: &[Server], gateway: SocketAddr, folder: &Path) {
    let state = folder.join("state");
    std::fs::create_dir(&state).unwrap();
    let mut yaml = format!(
        "listen: [{{ address: \"{gateway}\" }}]\nsecrets: [\"{SECRET}\"]\nthreads: 1\n\
         state_dir: \"{}\"\nbalance: {{ failover_after: 20s, slow_start: 2s }}\n\
         probe: {{ interval: 300ms, timeout: 2s, backoff_max: 1s }}\n\
         timeouts: {{ connect: 2s, create: 5s, call: 4s, fan_out: 3s }}\nservers:\n",
        state.display()
    );
    for (number, server) in (1..).zip(servers) {
        yaml += &format!(
            "  - {{ name: bbb{number}, url: \"http://{}\", secret: secret-of-bbb{number} }}\n",
            server.address
        );
    }
    let path = folder.join("tinyscale.yaml");
    std::fs::write(&path, yaml).unwrap();
}
