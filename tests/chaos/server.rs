//! One simulated server as a process of its own, so that it can be killed and frozen.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sim::{Sim, SimConfig, serve_control};
use tokio::net::TcpListener;

/// `NAME SECRET ADDRESS CONTROL JOURNAL`
pub(crate) fn run(args: &[String]) {
    let [name, secret, address, control, journal] = args else { panic!("{args:?}") };
    let config = SimConfig {
        name: name.clone(),
        secret: secret.clone(),
        end_delay: Duration::from_millis(300),
        // The journal has them all.
        calls_max: 0,
        journal: Some(PathBuf::from(journal)),
        prefix_lookup: false,
        ..SimConfig::default()
    };
    let address: SocketAddr = address.parse().unwrap();
    let control: SocketAddr = control.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sim = Sim::start_on(config, TcpListener::bind(address).await.unwrap()).await.unwrap();
        let listener = TcpListener::bind(control).await.unwrap();
        serve_control(listener, vec![sim]).await.unwrap();
    });
}
