//! The `bbb-sim` binary: one or many simulated BigBlueButton servers on consecutive ports.
//!
//! Refuses configuration files; what a script wants to change it changes through `--control`.

#![expect(clippy::print_stdout, reason = "the lines printed are for people and scripts to read")]

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use clap::{Parser, ValueEnum};
use sim::{Profile, Sim, SimConfig, serve_control};
use tokio::net::TcpListener;

/// A simulated BigBlueButton server: the whole HTTP API, no media.
///
/// Prints one line per server with its URL and secret, and runs until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "bbb-sim", version)]
struct Arguments {
    /// Address of the first server; further ones take the ports after it (port 0: any free ones)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,

    /// How many servers to run
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u16,

    /// The shared secret of all servers
    #[arg(long, value_name = "SECRET", default_value = "bbb-sim-secret")]
    secret: String,

    /// Which release of BigBlueButton to act like
    #[arg(long, value_enum, default_value = "3.0")]
    profile: Release,

    /// Name of the servers; with more than one, a number is added
    #[arg(long, default_value = "bbb-sim")]
    name: String,

    /// Serve the control interface (JSON over HTTP) on this address; it has no password
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,

    /// Let unused and empty meetings end after minutes, as real servers do
    #[arg(long)]
    expire: bool,

    /// Print nothing
    #[arg(long)]
    quiet: bool,
}

/// The releases, as people write them.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Release {
    #[value(name = "2.7")]
    V27,
    #[value(name = "3.0")]
    V30,
}

impl Arguments {
    fn config(&self, index: u16) -> SimConfig {
        let name = if self.count == 1 {
            self.name.clone()
        } else {
            format!("{}-{}", self.name, index + 1)
        };
        SimConfig {
            secret: self.secret.clone(),
            profile: match self.profile {
                Release::V27 => Profile::V27,
                Release::V30 => Profile::V30,
            },
            name,
            minute: self.expire.then_some(std::time::Duration::from_secs(60)),
            ..SimConfig::default()
        }
    }

    fn address(&self, index: u16) -> anyhow::Result<SocketAddr> {
        let mut address = self.listen;
        if address.port() != 0 {
            let port = address.port().checked_add(index);
            address.set_port(port.context("there are not that many ports")?);
        }
        Ok(address)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.count > 0, "--count must be at least 1");
    let mut sims = Vec::new();
    for index in 0..arguments.count {
        let address = arguments.address(index)?;
        let listener = TcpListener::bind(address);
        let listener = listener.await.with_context(|| format!("cannot listen on {address}"))?;
        let sim = Sim::start_on(arguments.config(index), listener).await?;
        if !arguments.quiet {
            println!("{} {} secret {}", sim.name(), sim.url(), sim.secret());
        }
        sims.push(sim);
    }
    let Some(address) = arguments.control else {
        tokio::signal::ctrl_c().await?;
        return Ok(());
    };
    let listener = TcpListener::bind(address);
    let listener = listener.await.with_context(|| format!("cannot listen on {address}"))?;
    if !arguments.quiet {
        println!("control http://{}/servers", listener.local_addr()?);
    }
    tokio::select! {
        ended = serve_control(listener, sims) => bail!("the control interface ended: {ended:?}"),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}
