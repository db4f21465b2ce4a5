//! Looks at the servers from behind, and at the list of all meetings from the front.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::client::{Answer, text, texts};
use crate::truth::Living;
use crate::world::{ANSWER, DOUBLE, END, UNREACHABLE, World};

/// Where each meeting is alive: the internal IDs by server.
type Alive = BTreeMap<String, Vec<(usize, String)>>;

async fn alive(world: &World) -> Alive {
    let lists = world.servers.iter().map(|server| {
        let url = format!("{}/meetings", server.control);
        async move { world.client.json(&url).await }
    });
    let mut alive = Alive::new();
    for (number, list) in join_all(lists).await.into_iter().enumerate() {
        for meeting in list.iter().flat_map(|list| list.as_array().into_iter().flatten()) {
            if meeting["ending"] != true {
                let word = |name: &str| meeting[name].as_str().unwrap_or_default().to_owned();
                alive.entry(word("external_id")).or_default().push((number, word("internal_id")));
            }
        }
    }
    alive
}

/// Which of `makers` has the meeting, if there are several.
pub(crate) async fn maker(
    world: &World,
    makers: &[usize],
    id: &str,
    internal: &str,
) -> Option<usize> {
    if let [only] = makers {
        return Some(*only);
    }
    for maker in makers {
        let url = format!("{}/meetings/{id}", world.servers[*maker].control);
        let meeting = world.client.json(&url).await;
        if meeting.is_some_and(|meeting| meeting["internal_id"] == internal) {
            return Some(*maker);
        }
    }
    None
}

/// The same meeting on two servers, twice in a row: not one that ended and one that began between two looks.
pub(crate) async fn doubles(world: Arc<World>) {
    let mut told = BTreeSet::new();
    let mut before = Alive::new();
    while !world.is_over() {
        let now = alive(&world).await;
        for (id, places) in now.iter().filter(|(_, places)| places.len() > 1) {
            if before.get(id) == Some(places) && told.insert((id.clone(), places.clone())) {
                world.count.mistake(DOUBLE, format!("{id}: {places:?}"));
            }
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// What must be listed is listed, and nothing twice.
pub(crate) async fn lists(world: Arc<World>) {
    let known =
        || -> Vec<Option<Living>> { world.rooms.iter().map(|room| room.lock().clone()).collect() };
    while !world.is_over() {
        let (from, before) = (Instant::now(), known());
        let answer = world.client.call("getMeetings", "").await;
        let after = known();
        match &answer {
            Answer::Xml(body) if text(body, "returncode") == "SUCCESS" => {
                world.count.add("getMeetings: SUCCESS");
                let listed = texts(body, "meetingID");
                let once: BTreeSet<_> = listed.iter().collect();
                if once.len() != listed.len() {
                    world.count.mistake(ANSWER, format!("getMeetings lists twice: {listed:?}"));
                }
                for (number, living) in before.iter().enumerate() {
                    let Some(living) = living.as_ref().filter(|_| after[number] == *living) else {
                        continue;
                    };
                    let server = &world.servers[living.server];
                    let sure = server.disturbed.lives() == living.life
                        && !server.disturbed.since(from)
                        && !world.disturbed.since(from);
                    if sure && !listed.contains(&format!("room-{number}").as_str()) {
                        let what = format!("getMeetings does not list room-{number}, {living:?}");
                        world.count.mistake(UNREACHABLE, what);
                    }
                }
            }
            Answer::Nothing(_) if world.disturbed.since(from) => {
                world.count.add("getMeetings: no answer");
            }
            Answer::Xml(_) | Answer::Redirect(_) | Answer::Other(..) | Answer::Nothing(_) => {
                world.count.mistake(ANSWER, format!("getMeetings: {answer:?}"));
            }
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
}

/// When all is quiet: every meeting is on one server, found and listed, and every `end` was somebody's.
pub(crate) async fn last_look(world: &World) {
    // Those that were ended last are still listed for a moment.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let alive = alive(world).await;
    let list = world.client.call("getMeetings", "").await;
    let Answer::Xml(list) = &list else {
        return world.count.mistake(ANSWER, format!("getMeetings: {list:?}"));
    };
    let listed: BTreeSet<&str> = texts(list, "meetingID").into_iter().collect();
    let there: BTreeSet<&str> = alive.keys().map(String::as_str).collect();
    if listed != there {
        let what = format!("at the end there are {there:?}, and listed are {listed:?}");
        world.count.mistake(UNREACHABLE, what);
    }
    for (id, places) in &alive {
        world.count.add("meetings at the end");
        if places.len() > 1 {
            world.count.mistake(DOUBLE, format!("at the end, {id}: {places:?}"));
        }
        let answer = world.client.call("getMeetingInfo", &format!("meetingID={id}")).await;
        let Answer::Xml(body) = &answer else {
            world.count.mistake(ANSWER, format!("at the end, {id}: {answer:?}"));
            continue;
        };
        if !places.iter().any(|(_, internal)| text(body, "internalMeetingID") == internal) {
            world.count.mistake(UNREACHABLE, format!("at the end, {id} on {places:?}: {body}"));
        }
    }
    let sent = world.ends.lock().clone();
    for (marker, times) in world.ends_received() {
        world.count.add("`end` calls received by servers");
        let allowed = sent.get(&marker).copied().unwrap_or_default();
        if times > allowed {
            let what = format!("{marker}: received {times} times, sent {allowed} times");
            world.count.mistake(END, what);
        }
    }
}
