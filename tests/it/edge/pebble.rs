//! Pebble, Let's Encrypt's ACME server for tests, and the name server that it asks.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::edge::authority::Authority;
use crate::harness::DEADLINE;

/// A running Pebble. Its own certificate comes from `authority`, those that it makes from roots of its own.
pub(crate) struct Pebble {
    pub(crate) authority: Authority,
    ports: [u16; 3],
    config: PathBuf,
    server: Option<Child>,
    _names: Child,
}

/// Where it looks for proofs, what it makes and what it refuses.
pub(crate) struct Wanted {
    pub(crate) http: u16,
    pub(crate) tls: u16,
    pub(crate) lifetime_s: u64,
}

/// It never gives anything for this name.
pub(crate) const BLOCKED: &str = "blocked.test";

/// Ports that nobody uses. They are let go before they are used, so it may have to be tried again.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

async fn until_it_listens(port: u16, child: &mut Child) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let trying = async {
        loop {
            if TcpStream::connect(address).await.is_ok() {
                return child.try_wait().unwrap().is_none();
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, trying).await.unwrap_or(false)
}

impl Pebble {
    pub(crate) async fn start(wanted: &Wanted) -> Self {
        let authority = Authority::new();
        let files = authority.good("pebble", &["127.0.0.1"]);
        let config = authority.folder.path().join("pebble.json");
        for _ in 0..5 {
            let ports: [u16; 4] = free_ports();
            let [api, management, dns, dns_management] = ports;
            let text = serde_json::json!({ "pebble": {
                "listenAddress": format!("127.0.0.1:{api}"),
                "managementListenAddress": format!("127.0.0.1:{management}"),
                "certificate": files.cert, "privateKey": files.key,
                "httpPort": wanted.http, "tlsPort": wanted.tls,
                "certificateValidityPeriod": wanted.lifetime_s,
                "domainBlocklist": [BLOCKED],
            }});
            std::fs::write(&config, text.to_string()).unwrap();
            let mut names = Command::new("pebble-challtestsrv")
                .args(["-dns01", &format!("127.0.0.1:{dns}")])
                .args(["-management", &format!("127.0.0.1:{dns_management}")])
                .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            if !until_it_listens(dns_management, &mut names).await {
                continue;
            }
            let ports = [api, management, dns];
            let mut pebble = Self { authority, ports, config, server: None, _names: names };
            if pebble.up().await {
                return pebble;
            }
            return pebble.again(wanted).await;
        }
        panic!("no ports for Pebble");
    }

    async fn again(self, wanted: &Wanted) -> Self {
        drop(self);
        Box::pin(Self::start(wanted)).await
    }

    /// Starts it (again), with no memory of what was.
    pub(crate) async fn up(&mut self) -> bool {
        let [api, _, dns] = self.ports;
        let mut server = Command::new("pebble")
            .arg("-config")
            .arg(&self.config)
            .args(["-dnsserver", &format!("127.0.0.1:{dns}")])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let listens = until_it_listens(api, &mut server).await;
        self.server = Some(server);
        listens
    }

    /// Ends it.
    pub(crate) async fn down(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().await.unwrap();
        }
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.ports[0])
    }

    /// What clients must believe to believe its certificates: written to a file, and as a rustls client.
    pub(crate) async fn client(&self) -> rustls::ClientConfig {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        let pem = std::fs::read(self.authority.file()).unwrap();
        let own = reqwest::Certificate::from_pem(&pem).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([own]).no_proxy().build().unwrap();
        let url = format!("https://127.0.0.1:{}/roots/0", self.ports[1]);
        let root = http.get(url).send().await.unwrap().bytes().await.unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}
