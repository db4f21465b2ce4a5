//! Front ends that never stop: on connections that they keep, on one for each request, and in pairs that create
//! the same meeting at the same time. Whatever is not answered as it should be is a failure.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tinyscale::bbb::checksum::{self, Algorithm};
use tinyscale::bbb::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::harness::{DEADLINE, RawAnswer, wait_for};
use crate::process::FRONT;

/// Connections that are kept.
const KEPT: usize = 8;
/// Front ends that use a new connection for each request.
const FRESH: usize = 4;
/// Pairs that create.
const PAIRS: usize = 2;

/// What happened.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    stop: AtomicBool,
    failures: Mutex<Vec<String>>,
    meetings: Mutex<Vec<String>>,
}

/// Front ends at work.
pub(super) struct Load {
    tally: Arc<Tally>,
    working: JoinSet<()>,
    begun: tokio::time::Instant,
}

/// What came of it.
pub(super) struct Totals {
    pub(super) failures: Vec<String>,
    pub(super) meetings: Vec<String>,
    answered: usize,
    took: Duration,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.answered as f64 / self.took.as_secs_f64();
        let (answered, meetings, failed) =
            (self.answered, self.meetings.len(), self.failures.len());
        write!(f, "answered={answered} rate={rate:.0}/s meetings={meetings} failed={failed}")
    }
}

impl Load {
    /// Begins with all of it.
    pub(super) fn begin(at: SocketAddr) -> Self {
        let tally = Arc::new(Tally::default());
        let mut working = JoinSet::new();
        for n in 0..KEPT {
            working.spawn(keep(tally.clone(), at, n));
        }
        for n in 0..FRESH {
            working.spawn(renew(tally.clone(), at, n));
        }
        for pair in 0..PAIRS {
            let barrier = Arc::new(Barrier::new(2));
            for _ in 0..2 {
                working.spawn(create(tally.clone(), at, pair, barrier.clone()));
            }
        }
        Self { tally, working, begun: tokio::time::Instant::now() }
    }

    /// Waits until so many more requests were answered.
    pub(super) async fn answered(&self, more: usize) {
        let enough = self.tally.answered.load(Ordering::Relaxed) + more;
        wait_for("answers", || {
            self.tally.answered.load(Ordering::Relaxed) >= enough
                || !self.tally.failures.lock().is_empty()
        })
        .await;
    }

    pub(super) fn failures(&self) -> Vec<String> {
        self.tally.failures.lock().clone()
    }

    pub(super) async fn end(mut self) -> Totals {
        let took = self.begun.elapsed();
        let answered = self.tally.answered.load(Ordering::Relaxed);
        self.tally.stop.store(true, Ordering::Relaxed);
        let ended = async { while self.working.join_next().await.is_some() {} };
        tokio::time::timeout(DEADLINE, ended).await.unwrap();
        let meetings = std::mem::take(&mut *self.tally.meetings.lock());
        Totals { failures: self.failures(), meetings, answered, took }
    }
}

impl Tally {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn count(&self, what: &str, outcome: Result<RawAnswer, String>, expected: &str) -> bool {
        let wrong = match outcome {
            Ok(answer) => {
                let text = format!("{}\n{}", answer.lines.join("\n"), answer.text());
                if text.contains(expected) {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    return answer.header("connection") != "close";
                }
                text
            }
            Err(why) => why,
        };
        self.failures.lock().push(format!("{what}: {wrong}"));
        false
    }
}

fn request(call: &str, query: &str, connection: &str) -> Vec<u8> {
    let secret = Secret::new(FRONT).unwrap();
    let query = checksum::sign(call, query, Algorithm::Sha256, &secret);
    format!(
        "GET /bigbluebutton/api/{call}?{query} HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\n\r\n"
    )
    .into_bytes()
}

async fn connect(at: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(at).await.map_err(|why| format!("not connected: {why}"))
}

async fn ask(stream: &mut TcpStream, request: &[u8]) -> Result<RawAnswer, String> {
    let asking = async {
        stream.write_all(request).await.map_err(|why| format!("not sent: {why}"))?;
        let mut bytes = Vec::new();
        loop {
            let count =
                stream.read_buf(&mut bytes).await.map_err(|why| format!("broken: {why}"))?;
            let is_whole = RawAnswer::first_of(&bytes).filter(|(answer, _)| {
                count == 0
                    || answer.header("transfer-encoding") == "chunked"
                    || !answer.header("content-length").is_empty()
            });
            match is_whole {
                Some((answer, _)) => return Ok(answer),
                None if count == 0 => return Err(format!("cut off after {} bytes", bytes.len())),
                None => {}
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.unwrap_or(Err("no answer".to_owned()))
}

/// One connection after another, each for as long as it is kept open.
async fn keep(tally: Arc<Tally>, at: SocketAddr, number: usize) {
    let unknown = request("isMeetingRunning", "meetingID=CANARY-nobody", "keep-alive");
    while tally.goes_on() {
        let mut stream = match connect(at).await {
            Ok(stream) => stream,
            Err(why) => return tally.failures.lock().push(why),
        };
        while tally.goes_on() {
            let outcome = ask(&mut stream, &unknown).await;
            if !tally.count(&format!("kept {number}"), outcome, "<running>false</running>") {
                break;
            }
        }
    }
}

async fn renew(tally: Arc<Tally>, at: SocketAddr, number: usize) {
    let list = request("getMeetings", "", "close");
    let unknown = request("getMeetingInfo", "meetingID=CANARY-nobody", "close");
    while tally.goes_on() {
        for (request, expected) in [(&list, "SUCCESS"), (&unknown, "notFound")] {
            let outcome = match connect(at).await {
                Ok(mut stream) => ask(&mut stream, request).await,
                Err(why) => Err(why),
            };
            tally.count(&format!("fresh {number}"), outcome, expected);
        }
    }
}

/// Creates, then uses what was created, over whichever process answers.
async fn create(tally: Arc<Tally>, at: SocketAddr, pair: usize, barrier: Arc<Barrier>) {
    for number in 0.. {
        let is_leader = barrier.wait().await.is_leader();
        if !tally.goes_on() {
            return;
        }
        let meeting = format!("CANARY-{pair}-{number}");
        if is_leader {
            tally.meetings.lock().push(meeting.clone());
        }
        let calls = [
            ("create", format!("meetingID={meeting}&name=CANARY"), "SUCCESS"),
            ("getMeetingInfo", format!("meetingID={meeting}"), "SUCCESS"),
            ("join", format!("meetingID={meeting}&fullName=CANARY"), "location: http"),
            ("isMeetingRunning", format!("meetingID={meeting}"), "SUCCESS"),
        ];
        for (call, query, expected) in calls {
            let outcome = match connect(at).await {
                Ok(mut stream) => ask(&mut stream, &request(call, &query, "close")).await,
                Err(why) => Err(why),
            };
            tally.count(call, outcome, expected);
        }
    }
}
