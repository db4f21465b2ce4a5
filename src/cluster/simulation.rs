//! The cluster core against servers that die, restart empty, answer late or not at all, and a gateway that is
//! killed: seeded, without I/O, with the rules of design section 1 checked after every step.
//!
//! `SIM_SEED=n` replays one seed; `SIM_SEEDS=n` runs that many, from `SIM_SEED` on if that is set, too. The shell
//! around the core is modelled here as `gateway` behaves: it moves a create on only when nothing was sent, and asks
//! the server when in doubt.

use std::collections::HashMap;

use crate::bbb::id::{InternalId, KeyHash};
use crate::cluster::Cluster;
use crate::cluster::Rules;
use crate::cluster::claim::{Claim, Made};
use crate::cluster::meetings::{ClaimId, Stage};
use crate::cluster::moment::Moment;
use crate::cluster::placement::Policy;
use crate::cluster::server::{Mode, ServerId};
use crate::cluster::testing::{TENANT, id, rules, seen, spec};
use crate::cluster::wish::Wish;

const SERVERS: u32 = 4;
const IDS: u64 = 12;
const STEPS: u32 = 600;

/// SplitMix64: small, and the same everywhere for ever.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A server as it really is.
#[derive(Default)]
struct Truth {
    down: bool,
    /// External ID to internal ID.
    meetings: HashMap<String, String>,
    /// Meetings that an `end` will take away soon.
    ending: Vec<String>,
    /// Creates that were sent, timed out at the gateway, and are still carried out.
    late: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connect,
    Sent,
    Answered,
    Inquire,
}

struct Create {
    id: String,
    claim: Option<ClaimId>,
    server: ServerId,
    phase: Phase,
    may_fail: bool,
}

struct Poll {
    server: ServerId,
    asked: Moment,
    /// What the server wrote, once it has; `None`: it failed.
    answer: Option<Option<Vec<(String, String)>>>,
}

struct World {
    dice: Dice,
    now: u64,
    cluster: Cluster,
    servers: Vec<Truth>,
    creates: Vec<Create>,
    polls: Vec<Poll>,
    /// What the store holds.
    store: HashMap<KeyHash, ServerId>,
    born: u64,
    /// What happened to whom, told when a rule breaks.
    history: Vec<(String, String)>,
}

fn fresh_cluster() -> Cluster {
    // Without failover a meeting may never be made twice, whatever happens.
    let rules = Rules { failover_after: None, ..rules() };
    let mut cluster = Cluster::new(rules, Policy::ExpectedLoad.placement(1.0));
    for n in 1..=SERVERS {
        cluster.add_server(std::sync::Arc::new(spec(&format!("bbb{n}"))), Moment(0));
    }
    cluster
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            dice: Dice(seed),
            now: 1,
            cluster: fresh_cluster(),
            servers: (0..SERVERS).map(|_| Truth::default()).collect(),
            creates: Vec::new(),
            polls: Vec::new(),
            store: HashMap::new(),
            born: 0,
            history: Vec::new(),
        };
        world.adopt();
        world
    }

    fn moment(&mut self) -> Moment {
        self.now += 1;
        Moment(self.now)
    }

    fn note(&mut self, name: &str, what: String) {
        self.history.push((name.to_owned(), what));
    }

    /// The last that happened to a meeting.
    fn history(&self, name: &str) -> String {
        let about = self.history.iter().filter(|(id, _)| id == name || id.is_empty());
        let lines: Vec<&str> = about.map(|(_, what)| what.as_str()).collect();
        lines[lines.len().saturating_sub(90)..].join("\n  ")
    }

    fn truth(&mut self, server: ServerId) -> &mut Truth {
        &mut self.servers[server.0 as usize]
    }

    fn any_server(&mut self) -> ServerId {
        ServerId(self.dice.below(u64::from(SERVERS)) as u32)
    }

    /// The server carries a create out: BBB makes each ID once.
    fn carry_out(&mut self, server: ServerId, id: &str) {
        self.born += 1;
        let internal = format!("{id}-{}", self.born);
        self.note(id, format!("made on {server:?}, if not there"));
        self.truth(server).meetings.entry(id.to_owned()).or_insert(internal);
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..20 => self.start_create(),
            20..50 => self.advance_create(),
            50..60 => self.start_poll(),
            60..82 => self.advance_poll(),
            82..86 => self.end_by_client(),
            86..89 => self.expire(),
            89..92 => self.finish_endings(),
            92..95 => self.flip_server(),
            95 => self.restart_server_empty(),
            96 => self.restart_gateway(),
            97 => self.change_mode(),
            98 => self.vanish(),
            _ => self.now += self.dice.below(100_000),
        }
    }

    fn start_create(&mut self) {
        let name = format!("meeting-{}", self.dice.below(IDS));
        let now = self.moment();
        let claim = self.cluster.claim(TENANT, &id(&name), &Wish::default(), now);
        self.note(&name, format!("create: {claim:?}"));
        let (claim, server) = match claim {
            Claim::Won(claim, server) => {
                self.store.insert(KeyHash::of(TENANT, &id(&name)), server);
                (Some(claim), server)
            }
            Claim::Existing(server) => {
                if self.is_leaving(&name, server) {
                    // As the gateway does: gives the turn back, and asks.
                    let now = self.moment();
                    self.cluster.repeat_over(TENANT, &id(&name), server, now);
                    self.ask_whether_it_left(&name, server);
                    return;
                }
                self.store.insert(KeyHash::of(TENANT, &id(&name)), server);
                (None, server)
            }
            Claim::Wait(_) | Claim::Unavailable | Claim::TagUnavailable => return,
        };
        self.creates.push(Create {
            id: name,
            claim,
            server,
            phase: Phase::Connect,
            may_fail: true,
        });
    }

    /// A create of a meeting that is ending, or on a server that drains, asks first.
    fn is_leaving(&self, name: &str, server: ServerId) -> bool {
        let stage = self.cluster.find(TENANT, &id(name)).map(|meeting| meeting.stage);
        let mode = self.cluster.member(server).map(|member| member.mode);
        stage == Some(Stage::Ending) || mode != Some(Mode::Serve)
    }

    fn ask_whether_it_left(&mut self, name: &str, server: ServerId) {
        self.do_late(server);
        let truth = self.truth(server);
        if truth.down || truth.meetings.contains_key(name) {
            return;
        }
        let asked = self.moment();
        let now = self.moment();
        if self.cluster.not_found(TENANT, &id(name), server, asked, now) {
            self.store.remove(&KeyHash::of(TENANT, &id(name)));
        }
    }

    fn advance_create(&mut self) {
        if self.creates.is_empty() {
            return;
        }
        let at = self.dice.below(self.creates.len() as u64) as usize;
        let mut create = self.creates.swap_remove(at);
        if self.advance(&mut create) {
            self.creates.push(create);
        }
    }

    /// False: the create is over.
    fn advance(&mut self, create: &mut Create) -> bool {
        self.note(
            &create.id,
            format!("{:?} {:?} at {:?}", create.phase, create.claim, create.server),
        );
        let down = self.truth(create.server).down;
        match create.phase {
            Phase::Connect if down => {
                let now = self.moment();
                self.cluster.refused(create.server, now);
                self.move_on(create)
            }
            Phase::Connect => {
                create.phase = Phase::Sent;
                true
            }
            Phase::Sent => self.send(create, down),
            Phase::Answered => {
                self.settle(create);
                false
            }
            Phase::Inquire if down => {
                self.doubt(create);
                false
            }
            Phase::Inquire => {
                self.do_late(create.server);
                let made = self.truth(create.server).meetings.contains_key(&create.id);
                create.may_fail = false;
                create.phase = Phase::Connect;
                if made && let Some(claim) = create.claim.take() {
                    let now = self.moment();
                    self.cluster.found(claim, now);
                }
                made || self.move_on(create)
            }
        }
    }

    fn send(&mut self, create: &mut Create, down: bool) -> bool {
        let fate = if create.may_fail { self.dice.below(10) } else { 9 };
        match fate {
            // Reset, or a proxy's error page, before anything was done.
            0 => create.phase = Phase::Inquire,
            // Done, and the answer lost.
            1 if !down => {
                self.carry_out(create.server, &create.id.clone());
                create.phase = Phase::Inquire;
            }
            // No answer in time; the server does it later.
            2 if !down => {
                let id = create.id.clone();
                self.truth(create.server).late.push(id);
                self.doubt(create);
                return false;
            }
            _ if down => create.phase = Phase::Inquire,
            _ => {
                self.carry_out(create.server, &create.id.clone());
                create.phase = Phase::Answered;
            }
        }
        true
    }

    fn settle(&mut self, create: &Create) {
        let now = self.moment();
        // The answer was written when the meeting was made; it may have ended since.
        let internal = self.truth(create.server).meetings.get(&create.id).cloned();
        let made = Made {
            internal: internal.as_deref().and_then(InternalId::new),
            create_time_ms: Some(1),
        };
        match create.claim {
            Some(claim) => self.cluster.settle(claim, made, now),
            None => {
                self.cluster.repeated(TENANT, &id(&create.id), create.server, made, now);
                self.repeat_over(create);
            }
        }
    }

    fn doubt(&mut self, create: &Create) {
        let now = self.moment();
        match create.claim {
            Some(claim) => self.cluster.doubt(claim, now),
            None => self.repeat_over(create),
        }
    }

    fn repeat_over(&mut self, create: &Create) {
        let now = self.moment();
        self.cluster.repeat_over(TENANT, &id(&create.id), create.server, now);
    }

    /// Certainly nothing was made: the next server, or the end of it.
    fn move_on(&mut self, create: &mut Create) -> bool {
        let Some(claim) = create.claim else {
            // Nobody else has the meeting: the same server again, if it was asked, or the end of it.
            let again = !create.may_fail && !self.truth(create.server).down;
            if !again {
                self.repeat_over(create);
            }
            return again;
        };
        let now = self.moment();
        let key = KeyHash::of(TENANT, &id(&create.id));
        match self.cluster.move_claim(claim, now) {
            Some(server) => {
                self.store.insert(key, server);
                create.server = server;
                create.phase = Phase::Connect;
                true
            }
            None if create.phase == Phase::Inquire
                || create.phase == Phase::Connect && !create.may_fail =>
            {
                true
            }
            None => {
                self.cluster.release(claim);
                self.store.remove(&key);
                false
            }
        }
    }

    /// A client goes away and takes its create with it.
    fn vanish(&mut self) {
        if self.creates.is_empty() {
            return;
        }
        let at = self.dice.below(self.creates.len() as u64) as usize;
        let create = self.creates.swap_remove(at);
        self.note(&create.id, format!("client gone in {:?} {:?}", create.phase, create.claim));
        match (create.phase, create.claim) {
            (Phase::Connect, Some(claim)) if create.may_fail => {
                self.cluster.release(claim);
                self.store.remove(&KeyHash::of(TENANT, &id(&create.id)));
            }
            _ => {
                if create.phase == Phase::Sent
                    && self.dice.one_in(2)
                    && !self.truth(create.server).down
                {
                    self.carry_out(create.server, &create.id);
                }
                self.doubt(&create);
            }
        }
    }

    fn start_poll(&mut self) {
        let (server, asked) = (self.any_server(), self.moment());
        self.polls.push(Poll { server, asked, answer: None });
    }

    fn advance_poll(&mut self) {
        if self.polls.is_empty() {
            return;
        }
        let at = self.dice.below(self.polls.len() as u64) as usize;
        let mut poll = self.polls.swap_remove(at);
        let server = poll.server;
        match poll.answer.take() {
            None => {
                self.do_late(server);
                let failed = self.truth(server).down || self.dice.one_in(10);
                let list = self.truth(server).meetings.clone().into_iter().collect();
                poll.answer = Some((!failed).then_some(list));
                self.polls.push(poll);
            }
            Some(None) => {
                let now = self.moment();
                self.cluster.failed(server, now);
            }
            Some(Some(list)) => self.deliver(server, poll.asked, &list),
        }
    }

    fn deliver(&mut self, server: ServerId, asked: Moment, list: &[(String, String)]) {
        let list: Vec<_> = list.iter().map(|(name, internal)| seen(name, internal)).collect();
        let now = self.moment();
        let observed = self.cluster.observe(server, &list, asked, now);
        self.note("", format!("{server:?} observed, asked {asked:?} now {now:?}"));
        for gone in observed.gone {
            self.store.remove(&gone);
            let is_it = |name: &String| KeyHash::of(TENANT, &id(name)) == gone;
            if let Some(name) = (0..IDS).map(|n| format!("meeting-{n}")).find(is_it) {
                self.note(&name, format!("gone from {server:?}, asked {asked:?}"));
            }
        }
    }

    fn do_late(&mut self, server: ServerId) {
        for id in std::mem::take(&mut self.truth(server).late) {
            self.carry_out(server, &id);
        }
    }

    fn end_by_client(&mut self) {
        let name = format!("meeting-{}", self.dice.below(IDS));
        let Some(server) = self.cluster.find(TENANT, &id(&name)).map(|meeting| meeting.server)
        else {
            return;
        };
        let truth = self.truth(server);
        if !truth.down && truth.meetings.contains_key(&name) {
            truth.ending.push(name.clone());
            let now = self.moment();
            self.cluster.ended(TENANT, &id(&name), server, now);
        }
    }

    fn finish_endings(&mut self) {
        let server = self.any_server();
        let truth = self.truth(server);
        for name in std::mem::take(&mut truth.ending) {
            truth.meetings.remove(&name);
        }
    }

    fn expire(&mut self) {
        let (server, name) = (self.any_server(), format!("meeting-{}", self.dice.below(IDS)));
        let truth = self.truth(server);
        truth.ending.retain(|ending| *ending != name);
        if truth.meetings.remove(&name).is_some() {
            self.note(&name, format!("expired on {server:?}"));
        }
    }

    fn flip_server(&mut self) {
        let server = self.any_server();
        let truth = self.truth(server);
        truth.down = !truth.down;
        let down = truth.down;
        self.note("", format!("{server:?} down: {down}"));
    }

    fn restart_server_empty(&mut self) {
        let server = self.any_server();
        *self.truth(server) = Truth::default();
        self.note("", format!("{server:?} restarted empty"));
    }

    fn change_mode(&mut self) {
        let server = self.any_server();
        let mode = if self.dice.one_in(2) { Mode::Serve } else { Mode::Drain };
        self.cluster.set_mode(server, mode);
    }

    /// kill -9 and start: memory is gone, the store is there.
    fn restart_gateway(&mut self) {
        self.note("", "gateway restarted".to_owned());
        for create in std::mem::take(&mut self.creates) {
            if create.phase == Phase::Sent && self.dice.one_in(2) && !self.truth(create.server).down
            {
                self.carry_out(create.server, &create.id);
            }
        }
        self.polls.clear();
        self.cluster = fresh_cluster();
        self.cluster.recall(self.store.clone());
        self.adopt();
    }

    fn adopt(&mut self) {
        for server in (0..SERVERS).map(ServerId) {
            self.do_late(server);
            let asked = self.moment();
            if self.truth(server).down {
                self.cluster.failed(server, asked);
            } else {
                let list: Vec<_> = self.truth(server).meetings.clone().into_iter().collect();
                self.deliver(server, asked, &list);
            }
        }
    }

    fn check(&self, context: &str) {
        self.cluster.meetings().check_invariants();
        let claimed = self.creates.iter().filter(|create| create.claim.is_some()).count();
        assert_eq!(self.cluster.open_claims(), claimed, "{context}: claims and creates");
        for n in 0..IDS {
            let name = format!("meeting-{n}");
            let on: Vec<u32> = (0..SERVERS)
                .filter(|server| self.servers[*server as usize].meetings.contains_key(&name))
                .collect();
            assert!(on.len() <= 1, "{context}: {name} on {on:?}\n  {}", self.history(&name));
            let known = self.cluster.find(TENANT, &id(&name));
            // Nobody is ever sent to another server than the one that has the meeting.
            if let (Some(meeting), Some(server)) = (known, on.first()) {
                let here = meeting.server == ServerId(*server);
                let (known, history) = (meeting.server, self.history(&name));
                assert!(here, "{context}: {name} on {server}, known on {known:?}\n  {history}");
            }
        }
    }

    /// Everything heals, everybody is asked often enough: what is known is what is true.
    fn settle_down(&mut self, context: &str) {
        for server in &mut self.servers {
            server.down = false;
        }
        while let Some(mut create) = self.creates.pop() {
            create.may_fail = false;
            while self.advance(&mut create) {}
        }
        self.polls.clear();
        for _ in 0..3 {
            for server in (0..SERVERS).map(ServerId) {
                self.do_late(server);
                let asked = self.moment();
                let list: Vec<_> = self.truth(server).meetings.clone().into_iter().collect();
                self.deliver(server, asked, &list);
            }
        }
        self.check(context);
        let alive: usize = self.servers.iter().map(|server| server.meetings.len()).sum();
        assert_eq!(self.cluster.meetings().count(), alive, "{context}: known and alive");
        assert!(self.store.len() <= alive, "{context}: the store forgets");
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for step in 0..STEPS {
        world.step();
        world.check(&format!("SIM_SEED={seed} step {step}"));
    }
    world.settle_down(&format!("SIM_SEED={seed} in the end"));
}

#[test]
fn no_fault_doubles_or_loses_a_meeting() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, count) = match (number("SIM_SEED"), number("SIM_SEEDS")) {
        (Some(seed), count) => (seed, count.unwrap_or(1)),
        (None, count) => (0, count.unwrap_or(256)),
    };
    for seed in first..first + count {
        run(seed);
    }
}
