//! One room and its front end: makes the meeting, sends people there, asks for it, ends it, over and over, and
//! compares every answer with what is known to be true.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tinyscale::replay::random::Random;
use tokio::time::Instant;

use crate::client::{Answer, text};
use crate::truth::{GRACE, Living};
use crate::watch;
use crate::world::{ANSWER, UNREACHABLE, World};

struct Room {
    world: Arc<World>,
    number: usize,
    name: String,
    random: Random,
    /// The meeting that must be there.
    living: Option<Living>,
    /// Somebody is in it for certain.
    entered: bool,
    /// The internal ID of the one that was ended last, and when.
    ended: Option<(String, Instant)>,
    /// Until then an `end` whose answer was lost may still be carried out.
    doubtful_until: Instant,
}

/// What came of a call.
enum Outcome<'a> {
    Success(&'a str),
    Failed(&'a str),
    Redirect(&'a str),
    /// Nothing that can be judged.
    Nothing,
}

pub(crate) async fn live(world: Arc<World>, number: usize, seed: u64) {
    let mut room = Room {
        number,
        name: format!("room-{number}"),
        random: Random::new(seed.wrapping_mul(1_000_003) + number as u64),
        living: None,
        entered: false,
        ended: None,
        doubtful_until: Instant::now(),
        world,
    };
    while !room.world.is_over() {
        room.create().await;
        room.publish();
        for _ in 0..2 + room.random.below(8) {
            room.pause(30, 350).await;
            room.look_after().await;
        }
        if room.random.unit() < 0.5 && room.living.is_some() {
            room.end().await;
        }
        room.pause(10, 300).await;
    }
}

impl Room {
    async fn pause(&mut self, from_ms: u64, more_ms: u64) {
        let ms = from_ms + self.random.below(more_ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn publish(&self) {
        self.world.rooms[self.number].lock().clone_from(&self.living);
    }

    fn forget(&mut self) {
        self.living = None;
        self.entered = false;
        self.publish();
    }

    async fn look_after(&mut self) {
        if !self.is_there() {
            self.forget();
        }
        if self.living.is_none() {
            return;
        }
        match self.random.below(10) {
            0..=3 => self.join().await,
            4..=7 => self.info().await,
            _ => self.running().await,
        }
    }

    /// Whether the meeting must be there: its server has not lost it.
    fn is_there(&self) -> bool {
        self.living.as_ref().is_some_and(|living| {
            self.world.servers[living.server].disturbed.lives() == living.life
        }) && Instant::now() >= self.doubtful_until
    }

    /// Whether a failure of a call that began at `from` is excused.
    fn is_excused(&self, from: Instant) -> bool {
        match &self.living {
            Some(living) if self.is_there() => {
                let server = &self.world.servers[living.server];
                server.disturbed.since(from) || self.world.disturbed.since(from)
            }
            _ => self.world.anything_since(from),
        }
    }

    fn wrong(&self, kind: &'static str, call: &str, what: &str) {
        let short: String = what.chars().take(400).collect();
        let (name, living) = (&self.name, &self.living);
        self.world.count.mistake(kind, format!("{call} of {name}, which is {living:?}: {short}"));
    }

    /// What every answer must be like.
    fn judge<'a>(&self, call: &str, answer: &'a Answer, from: Instant) -> Outcome<'a> {
        let count = &self.world.count;
        let ms = from.elapsed().as_millis();
        let short: String = format!("{answer:?}").chars().take(700).collect();
        count.note(&format!("{} {call} took {ms} ms: {short}", self.name));
        match answer {
            Answer::Xml(body) if text(body, "returncode") == "SUCCESS" => {
                count.add(&format!("{call}: SUCCESS"));
                Outcome::Success(body)
            }
            Answer::Xml(body) if text(body, "returncode") == "FAILED" => {
                let key = text(body, "messageKey");
                count.add(&format!("{call}: {key}"));
                if matches!(key, "internalError" | "serverUnavailable") {
                    if !self.is_excused(from) {
                        self.wrong(UNREACHABLE, call, body);
                    }
                    return Outcome::Nothing;
                }
                Outcome::Failed(key)
            }
            Answer::Redirect(to) => {
                count.add(&format!("{call}: redirect"));
                Outcome::Redirect(to)
            }
            Answer::Nothing(why) => {
                count.add(&format!("{call}: no answer"));
                if !self.world.disturbed.since(from) {
                    self.wrong(ANSWER, call, why);
                }
                Outcome::Nothing
            }
            Answer::Xml(body) | Answer::Other(_, body) => {
                self.wrong(ANSWER, call, &format!("{answer:?}, {body}"));
                Outcome::Nothing
            }
        }
    }

    /// One to three at the same time, as impatient people and several front ends do.
    async fn create(&mut self) {
        let from = Instant::now();
        let world = Arc::clone(&self.world);
        let lives = || -> Vec<u64> {
            world.servers.iter().map(|server| server.disturbed.lives()).collect()
        };
        let before = lives();
        let markers: Vec<String> = (0..1 + self.random.below(3)).map(|_| world.marker()).collect();
        let calls = markers.iter().map(|marker| {
            let query = format!(
                "meetingID={0}&name={0}&attendeePW=ap&moderatorPW=mp&meta_chaos={marker}",
                self.name
            );
            let world = &world;
            async move { world.client.call("create", &query).await }
        });
        let answers = join_all(calls).await;
        let mut made: Vec<Living> = Vec::new();
        for (marker, answer) in markers.iter().zip(&answers) {
            match self.judge("create", answer, from) {
                Outcome::Success(body) => {
                    let internal = text(body, "internalMeetingID");
                    let makers = world.makers(marker);
                    if makers.is_empty() {
                        self.wrong(ANSWER, "create", "SUCCESS, and no server was asked");
                    }
                    // Of several that received it, the one that has it made it.
                    let Some(server) = watch::maker(&world, &makers, &self.name, internal).await
                    else {
                        continue;
                    };
                    if text(body, "meetingID") != self.name {
                        self.wrong(ANSWER, "create", body);
                    }
                    made.push(Living {
                        server,
                        life: before[server],
                        internal: internal.to_owned(),
                        create_time: text(body, "createTime").to_owned(),
                    });
                }
                Outcome::Failed(_) | Outcome::Redirect(_) => {
                    self.wrong(ANSWER, "create", &format!("{answer:?}"));
                }
                Outcome::Nothing => {}
            }
        }
        let Some(first) = made.first().cloned() else { return };
        let lost_none = before == lives();
        if lost_none && made.iter().any(|other| other.internal != first.internal) {
            self.wrong(ANSWER, "create", &format!("of creates at once: {made:?}"));
        }
        if self.is_there() && lost_none {
            let same = self.living.as_ref().is_some_and(|known| known.internal == first.internal);
            if !same {
                self.wrong(ANSWER, "create", &format!("another one: {first:?}"));
            }
        }
        let ended = self.ended.as_ref().is_some_and(|(internal, at)| {
            *internal == first.internal && !self.world.disturbed.since(*at)
        });
        if ended {
            self.wrong(ANSWER, "create", &format!("the one that was ended: {first:?}"));
        }
        if self.living.as_ref() != Some(&first) {
            self.entered = false;
        }
        self.living = Some(first);
    }

    /// Common to all that ask for the meeting: it must be there unless its server lost it.
    fn denied(&mut self, call: &str, key: &str) {
        if self.is_there() {
            self.wrong(ANSWER, call, key);
        }
        self.forget();
    }

    async fn info(&mut self) {
        let from = Instant::now();
        let query = format!("meetingID={}", self.name);
        let answer = self.world.client.call("getMeetingInfo", &query).await;
        match self.judge("getMeetingInfo", &answer, from) {
            Outcome::Success(body) => {
                let said = (text(body, "meetingID"), text(body, "internalMeetingID"));
                let known = self.living.as_ref().map(|living| living.internal.as_str());
                if said.0 != self.name || (self.is_there() && Some(said.1) != known) {
                    self.wrong(ANSWER, "getMeetingInfo", body);
                }
            }
            Outcome::Failed(key) => self.denied("getMeetingInfo", key),
            Outcome::Redirect(to) => self.wrong(ANSWER, "getMeetingInfo", to),
            Outcome::Nothing => {}
        }
    }

    async fn running(&mut self) {
        let from = Instant::now();
        let query = format!("meetingID={}", self.name);
        let answer = self.world.client.call("isMeetingRunning", &query).await;
        match self.judge("isMeetingRunning", &answer, from) {
            Outcome::Success(body) => {
                if text(body, "running") != "true" && self.entered && self.is_there() {
                    self.wrong(ANSWER, "isMeetingRunning", body);
                }
            }
            Outcome::Failed(key) => self.denied("isMeetingRunning", key),
            Outcome::Redirect(to) => self.wrong(ANSWER, "isMeetingRunning", to),
            Outcome::Nothing => {}
        }
    }

    /// Sends somebody there, through to the server's client page.
    async fn join(&mut self) {
        let from = Instant::now();
        let query = format!("meetingID={}&fullName=Somebody&role=VIEWER", self.name);
        let answer = self.world.client.call("join", &query).await;
        let to = match self.judge("join", &answer, from) {
            Outcome::Redirect(to) => to,
            Outcome::Failed(key) => return self.denied("join", key),
            Outcome::Success(body) => return self.wrong(ANSWER, "join", body),
            Outcome::Nothing => return,
        };
        let Some(living) = self.living.clone() else { return };
        let there =
            format!("http://{}/bigbluebutton/api/join?", self.world.servers[living.server].address);
        if !to.starts_with(&there) {
            if self.is_there() {
                self.wrong(ANSWER, "join", to);
            }
            return;
        }
        let (first, cookie) = self.world.client.fetch_with(to, None).await;
        let server = &self.world.servers[living.server];
        let page = match &first {
            Answer::Redirect(page) if !page.contains("errors=") => page,
            Answer::Redirect(page) => {
                if self.is_there() {
                    self.wrong(ANSWER, "join, on the server", page);
                }
                return;
            }
            Answer::Nothing(_) | Answer::Xml(_) | Answer::Other(..) => {
                if !server.disturbed.since(from) {
                    self.wrong(UNREACHABLE, "join, on the server", &format!("{first:?}"));
                }
                return;
            }
        };
        let (client, _) = self.world.client.fetch_with(page, cookie.as_deref()).await;
        if matches!(client, Answer::Other(200, _)) && self.is_there() {
            self.world.count.add("people who got in");
            self.entered = true;
        }
    }

    async fn end(&mut self) {
        let from = Instant::now();
        let known = self.living.clone();
        let was_there = self.is_there();
        self.world.rooms[self.number].lock().take();
        let marker = self.world.marker();
        self.world.ends.lock().insert(marker.clone(), 1);
        let query = format!("meetingID={}&password=mp&meta_chaos={marker}", self.name);
        let answer = self.world.client.call("end", &query).await;
        match self.judge("end", &answer, from) {
            Outcome::Success(_) => {
                self.ended = known.map(|living| (living.internal, from));
            }
            Outcome::Failed(key) => {
                if was_there {
                    self.denied("end", key);
                }
            }
            Outcome::Redirect(to) => self.wrong(ANSWER, "end", to),
            // The server may carry it out whenever it wakes.
            Outcome::Nothing => {
                self.doubtful_until = Instant::now() + Duration::from_secs(14) + GRACE
            }
        }
        self.forget();
    }
}
