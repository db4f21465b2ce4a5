//! Checksums as front ends really send them.

use tinyscale::bbb::checksum::{self, Algorithm};
use tinyscale::bbb::secret::Secret;

use crate::harness::{Answer, SECRET, World, ask, fetch, http, signed};

fn sum(algorithm: Algorithm, call: &str, hashed: &str) -> String {
    let secret = Secret::new(SECRET).unwrap();
    let signed = checksum::sign(call, hashed, algorithm, &secret);
    signed.rsplit('=').next().unwrap().to_owned()
}

async fn get(world: &World, call: &str, query: &str) -> Answer {
    fetch(http().get(format!("{}/{call}?{query}", world.gateway.api()))).await
}

#[tokio::test]
async fn c5_c6_every_algorithm_in_either_case() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    for algorithm in Algorithm::ALL {
        let sum = sum(algorithm, "getMeetingInfo", "meetingID=room");
        for sum in [sum.clone(), sum.to_ascii_uppercase()] {
            let query = format!("meetingID=room&checksum={sum}");
            get(&world, "getMeetingInfo", &query).await.assert_success();
        }
        let query = format!("meetingID=Room&checksum={sum}");
        get(&world, "getMeetingInfo", &query).await.assert_failed("checksumError");
    }
}

#[tokio::test]
async fn c7_m4_the_checksum_stands_anywhere_but_only_once() {
    let world = World::start(1).await;
    let of_nothing = sum(Algorithm::Sha1, "getMeetings", "");
    for query in [format!("checksum={of_nothing}"), format!("&checksum={of_nothing}")] {
        get(&world, "getMeetings", &query).await.assert_success();
        let twice = format!("{query}&checksum={of_nothing}");
        get(&world, "getMeetings", &twice).await.assert_failed("checksumError");
    }
    let create = sum(Algorithm::Sha256, "create", "meetingID=room&name=nn");
    for query in [
        format!("checksum={create}&meetingID=room&name=nn"),
        format!("meetingID=room&checksum={create}&name=nn"),
        format!("meetingID=room&name=nn&checksum={create}"),
    ] {
        get(&world, "create", &query).await.assert_success();
    }
    for query in ["", "meetingID=room&name=nn", "checksum=", "checksum=abc"] {
        get(&world, "create", query).await.assert_failed("checksumError");
    }
    get(&world, "create", &format!("checksum={}", "0".repeat(64)))
        .await
        .assert_failed("checksumError");
    assert_eq!(world.sims[0].call_count("create"), 3);
}

#[tokio::test]
async fn c8_the_bytes_of_the_query_count() {
    let world = World::start(1).await;
    for (n, name) in ["a%20b", "a+b", "a%2fb", "a%2Fb", "%5Bg%5D", "(x)*~!", "a%26b", "a%C3%A9"]
        .iter()
        .enumerate()
    {
        let query = format!("name={name}&&meetingID=room{n}&x=1&x=2");
        world.gateway.get("create", &query).await.assert_success();
        let call = world.sims[0].calls_of("create").pop().unwrap();
        assert!(call.target.contains(&format!("?{query}&checksum=")), "{}", call.target);
    }
}

/// The JS library signs `'`, every browser sends %27. Seen on the wire of a join, where the server's own checksum
/// must then be right for what the browser will send.
#[tokio::test]
async fn s32_an_apostrophe_may_be_escaped_on_the_way() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let sum = sum(Algorithm::Sha1, "join", "fullName=O'Neil&meetingID=room&role=VIEWER");
    for name in ["O'Neil", "O%27Neil"] {
        let request = format!(
            "GET /bigbluebutton/api/join?fullName={name}&meetingID=room&role=VIEWER&checksum={sum} HTTP/1.1\r\n\
             Host: lb\r\nConnection: close\r\n\r\n"
        );
        let answer = ask(world.gateway.address, &request).await;
        assert_eq!(answer.status, 302);
        let joined = fetch(http().get(answer.header("location"))).await;
        assert!(joined.header("location").contains("sessionToken="), "{joined:?}");
    }
}

#[tokio::test]
async fn a_checksum_opens_one_call_only() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let query = signed("getMeetingInfo", "meetingID=room");
    get(&world, "end", &query).await.assert_failed("checksumError");
    get(&world, "getmeetinginfo", &query).await.assert_failed("checksumError");
}
