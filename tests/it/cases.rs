//! Black-box cases as tables: what a front end asks in a given situation, and what it has to be told. Most
//! come from the tests of other balancers and from what client libraries need; each keeps its source's ID:
//!
//! * two letters and a number (`CR4`): the suite of Scalelite (`scalelite.md` 4.1 to 4.10);
//! * `C`, `M`, `H`, `R` and a number: a comparison of BBBLB and B3LB (`bbblb-b3lb.md` 4), its column *Want*;
//! * `clients M19`: what client libraries must find (`clients.md` 2);
//! * `new`: cases that none of them has.
//!
//! Where tinyscale means to differ (`scalelite.md` 4.15), its own way is what is expected, and the case says so.

mod create;
mod health;
mod index;
mod join;
mod meeting;
mod modes;
mod recordings;
mod signing;

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use sim::{Fault, PlaybackFormat, ReceivedCall, Recording, RecordingState, Sim};
use tinyscale::cluster::health::Health;

use crate::harness::{Answer, World, fetch, http, signed};

/// A line of a table: source and ID, situation, request, answer.
pub(crate) type Case = (&'static str, Given, Ask, Told);

/// What is there before the request. Always two servers, `bbb1` and `bbb2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// Nothing else.
    Nothing,
    /// Meeting `room` called "Maths" with passwords `ap` and `mp`.
    Room,
    /// That, with Ada as its moderator.
    RoomWithAda,
    /// [`Given::Room`], whose server now fails this call like this.
    RoomFails(&'static str, Fault),
    /// [`Given::Room`], whose server is dead and known to be.
    RoomDown,
    /// Meetings `room` and `room2` on a server each.
    TwoRooms,
    /// That, and the server of `room2` is dead and known to be.
    TwoRoomsOneDown,
    /// Both servers are dead and known to be.
    AllDown,
    /// The first server that gets this call fails it once.
    FirstFails(&'static str, Fault),
    /// [`recordings`]
    Recordings,
}

/// What the front end sends. Queries are signed with sha256 unless the case is about that.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    /// A GET of a call with this query.
    Get(&'static str, &'static str),
    /// A POST of a call with this query and a body of this type.
    Post(&'static str, &'static str, &'static str, &'static str),
    /// A POST of a call with all parameters and the checksum of none in a form.
    Form(&'static str, &'static str),
    /// A method and a path as they stand, nothing signed.
    Plain(&'static str, &'static str),
}

/// What the front end has to be told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told {
    /// SUCCESS, and these elements have these texts.
    Ok(&'static [(&'static str, &'static str)]),
    /// FAILED with key and message; an empty message is any.
    Failed(&'static str, &'static str),
    /// SUCCESS from the one server that was called, by GET and with exactly this query.
    Forwarded(&'static str),
    /// 302 to a server's own call with exactly this query.
    Redirected(&'static str),
    /// These recordings, as [`named`] names them, in this order.
    Recordings(&'static [&'static str]),
    /// Whatever this finds in order.
    That(fn(&Seen)),
}

/// What a case sees afterwards.
pub(crate) struct Seen {
    pub(crate) world: World,
    pub(crate) answer: Answer,
    pub(crate) call: &'static str,
}

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const SLIDES: &str = "<modules><module name=\"presentation\"><document url=\"http://example.com/sample.pdf\" filename=\"sample.pdf\"/></module></modules>";

/// Runs every case of a table and fails with all that are not as they should be.
pub(crate) async fn check(cases: &[Case]) {
    let mut failed = Vec::new();
    let mut left = None;
    for case in cases {
        // The panic itself was printed where it happened.
        match AssertUnwindSafe(run(case, left.take())).catch_unwind().await {
            Ok(world) => left = world.map(|world| (case.1.clone(), world)),
            Err(_) => failed.push(case.0),
        }
    }
    assert!(failed.is_empty(), "{} of {} cases failed: {failed:#?}", failed.len(), cases.len());
}

/// Runs a case in the cluster that the case before it left, if it left the same situation. Gives the cluster
/// back if nothing was changed in it: starting one takes far longer than a call.
async fn run((id, given, ask, told): &Case, left: Option<(Given, World)>) -> Option<World> {
    let world = match left {
        Some((situation, world)) if situation == *given => world,
        _ => {
            let world = World::start(2).await;
            prepare(&world, given).await;
            world
        }
    };
    for sim in &world.sims {
        sim.clear_calls();
    }
    let (call, answer) = send(&world, ask).await;
    let seen = Seen { world, answer, call };
    let Answer { status, body, .. } = &seen.answer;
    show(&format!("case {id}: {ask:?}\n  {status} {body}"));
    seen.judge(told);
    let is_reading = ["", "getMeetings", "getMeetingInfo", "isMeetingRunning", "getRecordings"];
    let used_up = matches!(given, Given::FirstFails(..));
    (is_reading.contains(&call) && !used_up).then_some(seen.world)
}

/// For whoever reads what a failed test printed.
#[expect(clippy::print_stdout, reason = "tests print; only failed ones are shown")]
fn show(line: &str) {
    println!("{line}");
}

async fn prepare(world: &World, given: &Given) {
    let create = async |id| {
        let query = format!("meetingID={id}&name=Maths&attendeePW=ap&moderatorPW=mp");
        world.gateway.get("create", &query).await.assert_success();
    };
    match given {
        Given::Nothing => {}
        Given::Room => create("room").await,
        Given::RoomWithAda => {
            create("room").await;
            world.server_of("room").add_users("room", 1);
        }
        Given::RoomFails(call, fault) => {
            create("room").await;
            world.server_of("room").set_fault(fault.clone(), Some(call));
        }
        Given::RoomDown => {
            create("room").await;
            kill(world, world.server_of("room")).await;
        }
        Given::TwoRooms | Given::TwoRoomsOneDown => {
            create("room").await;
            create("room2").await;
            assert_eq!(world.sims.iter().map(Sim::meeting_count).max(), Some(1));
            if matches!(given, Given::TwoRoomsOneDown) {
                world.gateway.get("getMeetings", "").await.assert_success();
                kill(world, world.server_of("room2")).await;
            }
        }
        Given::AllDown => {
            for sim in &world.sims {
                kill(world, sim).await;
            }
        }
        Given::FirstFails(call, fault) => world.sims[0].set_fault_once(fault.clone(), Some(call)),
        Given::Recordings => recordings(world),
    }
}

async fn kill(world: &World, sim: &Sim) {
    sim.stop().await;
    world.gateway.wait_health(sim.name(), Health::Down).await;
}

const NAMES: [&str; 7] = ["r1", "u1", "d1", "r2", "p1", "r3", "n1"];

/// Seven recordings on both servers. Their names stand for their IDs in queries and expectations: `{r1}`.
fn recordings(world: &World) {
    let of = |name: &str, state, meta: &[(&str, &str)]| Recording {
        record_id: record_id(name),
        meeting_id: format!("meeting of {name}"),
        name: name.to_owned(),
        state,
        start_ms: start_ms(name),
        meta: meta.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Recording::default()
    };
    let formats = ["podcast", "presentation"]
        .map(|kind| PlaybackFormat { kind: kind.to_owned(), ..PlaybackFormat::default() });
    let on = [
        (0, of("r1", RecordingState::Published, &[("context", "test1"), ("gl-listed", "true")])),
        (1, of("r2", RecordingState::Published, &[("context", "test1"), ("origin", "GL")])),
        (
            0,
            Recording {
                participants: 3,
                formats: formats.to_vec(),
                ..of("r3", RecordingState::Published, &[("origin", "GL")])
            },
        ),
        (1, of("u1", RecordingState::Unpublished, &[])),
        (0, of("d1", RecordingState::Deleted, &[("origin", "GL")])),
        (1, of("p1", RecordingState::Processing, &[])),
        (0, Recording { formats: Vec::new(), ..of("n1", RecordingState::Published, &[]) }),
    ];
    for (server, recording) in on {
        world.sims[server].add_recording(recording);
    }
}

/// The whole ID of a recording of [`recordings`]: its meeting's hash, its start.
fn record_id(name: &str) -> String {
    format!("{}-{}", record_hash(name), start_ms(name))
}

/// When it began: the first of these last, so that they are listed in this order.
fn start_ms(name: &str) -> u64 {
    let index = NAMES.iter().position(|known| *known == name).unwrap();
    1_700_000_000_000 - index as u64
}

fn record_hash(name: &str) -> String {
    use sha1::Digest;
    hex::encode(sha1::Sha1::digest(format!("meeting of {name}")))
}

/// `text` with `{r1}` made into that recording's ID and `{~r1}` into the part of it that its meeting gives.
fn with_ids(text: &str) -> String {
    NAMES.into_iter().fold(text.to_owned(), |text, name| {
        text.replace(&format!("{{{name}}}"), &record_id(name))
            .replace(&format!("{{~{name}}}"), &record_hash(name))
    })
}

async fn send(world: &World, ask: &Ask) -> (&'static str, Answer) {
    let base = format!("http://{}", world.gateway.address);
    match *ask {
        Ask::Get(call, query) => (call, world.gateway.get(call, &with_ids(query)).await),
        Ask::Post(call, query, content_type, body) => {
            (call, world.gateway.post(call, &with_ids(query), content_type, body).await)
        }
        Ask::Form(call, form) => {
            let form = format!("{}&{}", with_ids(form), signed(call, ""));
            let request = http().post(format!("{}/{call}", world.gateway.api()));
            (call, fetch(request.header("Content-Type", FORM).body(form)).await)
        }
        Ask::Plain(method, path) => {
            let request = http().request(method.parse().unwrap(), format!("{base}{path}"));
            ("", fetch(request).await)
        }
    }
}

impl Seen {
    #[track_caller]
    fn judge(&self, told: &Told) {
        match *told {
            Told::Ok(texts) => {
                self.assert_xml();
                self.answer.assert_success();
                for (name, text) in texts {
                    assert_eq!(self.answer.text(name), *text, "{name}");
                }
            }
            Told::Failed(key, message) => {
                self.assert_xml();
                self.answer.assert_failed(key);
                if !message.is_empty() {
                    assert_eq!(self.answer.text("message"), message);
                }
            }
            Told::Forwarded(query) => {
                self.assert_xml();
                self.answer.assert_success();
                let sent = self.sent();
                assert_eq!((sent.method.as_str(), unsigned(sent.query())), ("GET", query));
            }
            Told::Redirected(query) => {
                assert_eq!(self.answer.status, 302, "{:?}", self.answer);
                assert_eq!(self.answer.header("cache-control"), "no-store");
                let location = self.answer.header("location");
                let starts: Vec<String> =
                    self.world.sims.iter().map(|sim| format!("{}/join?", sim.url())).collect();
                let sent = starts.iter().find_map(|start| location.strip_prefix(start.as_str()));
                assert_eq!(sent.map(unsigned), Some(query), "{location}");
            }
            Told::Recordings(names) => {
                self.assert_xml();
                self.answer.assert_success();
                let expected: Vec<String> = names.iter().map(|name| record_id(name)).collect();
                assert_eq!(self.texts("recordID"), expected);
                let none = if names.is_empty() { "noRecordings" } else { "" };
                assert_eq!(self.answer.text("messageKey"), none);
            }
            Told::That(holds) => holds(self),
        }
    }

    #[track_caller]
    fn assert_xml(&self) {
        assert!(self.answer.is_bbb_xml(), "{:?}", self.answer);
    }

    /// All calls of the front end's kind that servers got.
    pub(crate) fn all_sent(&self) -> Vec<ReceivedCall> {
        self.world.sims.iter().flat_map(|sim| sim.calls_of(self.call)).collect()
    }

    /// The only one; its checksum was right.
    #[track_caller]
    pub(crate) fn sent(&self) -> ReceivedCall {
        let mut sent = self.all_sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        let sent = sent.remove(0);
        assert_eq!(sent.checksum, Some(true), "{sent:?}");
        sent
    }

    /// The texts of all elements `name`.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let rests = self.answer.body.split(&open).skip(1);
        rests.filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
    }

    /// What the servers have of a recording now.
    pub(crate) fn recording(&self, name: &str) -> Recording {
        let id = record_id(name);
        let mut all = self.world.sims.iter().flat_map(Sim::recordings);
        all.find(|one| one.record_id == id).unwrap()
    }
}

/// `query` without the checksum at its end.
fn unsigned(query: &str) -> &str {
    let end = query.rfind("checksum=").unwrap_or(query.len());
    query[..end].trim_end_matches('&')
}
