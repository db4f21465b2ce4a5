//! Servers that die and come back, meetings that go, many servers at once.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::tests::{DEADLINE, get, quick};
use crate::{Sim, SimConfig, start_many};

#[tokio::test]
async fn a_dead_server_refuses_and_comes_back_as_it_was() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=One").await;
    let url = sim.url();
    sim.stop().await;
    sim.stop().await;
    assert!(!sim.is_up().await);
    let refused = TcpStream::connect(sim.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    sim.restart().await.unwrap();
    sim.restart().await.unwrap();
    assert_eq!(sim.url(), url);
    get(&sim, "getMeetingInfo", "meetingID=m1").await.expect("returncode", "SUCCESS");
    sim.lose_all();
    get(&sim, "getMeetingInfo", "meetingID=m1").await.expect("messageKey", "notFound");
}

#[tokio::test]
async fn idle_connections_are_reset_when_the_server_dies() {
    let sim = quick().await;
    let mut idle = TcpStream::connect(sim.address()).await.unwrap();
    get(&sim, "getMeetings", "").await;
    sim.stop().await;
    let mut byte = [0];
    let end = tokio::io::AsyncReadExt::read(&mut idle, &mut byte).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_ended_meeting_is_listed_for_a_moment() {
    let config = SimConfig { end_delay: Duration::from_secs(1), ..SimConfig::default() };
    let sim = Sim::start(config).await.unwrap();
    get(&sim, "create", "meetingID=m1&name=One").await;
    get(&sim, "end", "meetingID=m1").await.expect("messageKey", "sentEndMeetingRequest");
    assert!(sim.meeting("m1").unwrap().ending);
    let again = get(&sim, "create", "meetingID=m1&name=One").await;
    again.expect("messageKey", "duplicateWarning");
    assert!(sim.wait_until(DEADLINE, |sim| sim.meeting_count() == 0).await);
}

#[tokio::test]
async fn meetings_expire_if_minutes_are_configured() {
    let config = SimConfig { minute: Some(Duration::from_millis(20)), ..SimConfig::default() };
    let sim = Sim::start(config).await.unwrap();
    get(&sim, "create", "meetingID=m1&name=Unused").await;
    get(&sim, "create", "meetingID=m2&name=Used&meetingExpireIfNoUserJoinedInMinutes=1000").await;
    sim.add_users("m2", 1);
    assert!(sim.wait_until(DEADLINE, |sim| sim.meeting("m1").is_none()).await);
    assert!(sim.meeting("m2").is_some());
    sim.remove_users("m2", 1);
    assert!(sim.wait_until(DEADLINE, |sim| sim.meeting_count() == 0).await);
}

#[tokio::test]
async fn many_servers_run_in_one_process() {
    let sims = start_many(200, |index| SimConfig {
        name: format!("bbb{index}"),
        calls_max: 0,
        ..SimConfig::default()
    });
    let sims = sims.await.unwrap();
    get(&sims[199], "create", "meetingID=m1&name=One").await;
    assert_eq!(sims.iter().map(Sim::meeting_count).sum::<usize>(), 1);
    assert_eq!((sims[199].calls().len(), sims[199].call_count("create")), (0, 1));
    assert_eq!(sims[199].name(), "bbb199");
}

#[tokio::test]
async fn a_server_ends_with_its_last_handle() {
    let sim = quick().await;
    let address = sim.address();
    drop(sim.clone());
    get(&sim, "getMeetings", "").await;
    drop(sim);
    let deadline = tokio::time::timeout(DEADLINE, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    assert!(deadline.await.is_ok());
}
