//! `listen` as written.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use crate::config::document::{Fields, Node, Value};
use crate::config::file::Reader;
use crate::config::problem::{Located, Place};
use crate::config::settings::edge::{Address, Redirect};

/// An entry of `listen` as written.
#[derive(Debug)]
pub(crate) struct ListenFile {
    pub(crate) address: Located<Address>,
    pub(crate) mode: Option<Located<u32>>,
    pub(crate) tls: Option<Located<ListenTlsFile>>,
    pub(crate) http2: Option<bool>,
    pub(crate) proxy_protocol: Option<Vec<IpNet>>,
    pub(crate) redirect: Option<Located<Redirect>>,
}

/// Its `tls` as written.
#[derive(Debug)]
pub(crate) struct ListenTlsFile {
    pub(crate) certificates: Vec<CertificateFile>,
    pub(crate) acme: Option<Located<AcmeFile>>,
}

/// An entry of its `certificates` as written.
#[derive(Debug)]
pub(crate) struct CertificateFile {
    pub(crate) place: Place,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Its `acme` as written.
#[derive(Debug)]
pub(crate) struct AcmeFile {
    pub(crate) email: Option<String>,
    pub(crate) domains: Vec<String>,
    pub(crate) directory: Option<String>,
    pub(crate) ca: Option<Located<PathBuf>>,
}

const ENTRY: [&str; 6] = ["address", "mode", "tls", "http2", "proxy_protocol", "redirect"];
const ACME: [&str; 4] = ["email", "domains", "directory", "ca"];
/// As many as Let's Encrypt puts into one certificate.
const DOMAINS_MAX: usize = 100;

impl Reader<'_> {
    pub(super) fn listen(&mut self, node: &Node) -> Option<Located<Vec<ListenFile>>> {
        let example = r#"listen: [{ address: "[::]:3005" }]"#;
        // A list with mistakes in it is still not left out.
        let list = node.list("listen", example, self.problems).unwrap_or_default();
        let value = list.iter().filter_map(|entry| self.listener(entry)).collect();
        Some(Located { value, place: node.place.clone() })
    }

    fn listener(&mut self, node: &Node) -> Option<ListenFile> {
        let example = r#"address: "[::]:3005""#;
        let fields = node.fields("an entry of `listen`", &ENTRY, self.problems)?;
        let address = fields.need("address", "this entry of `listen`", example, self.problems);
        let address = address.and_then(|node| self.address(node));
        let mode = fields.get("mode").and_then(|node| self.mode(node));
        let tls = fields.get("tls").and_then(|node| self.listen_tls(node));
        let http2 = fields.get("http2").and_then(|node| node.flag("http2", self.problems));
        let proxies = fields.get("proxy_protocol");
        let proxies = proxies.and_then(|node| self.networks_in(node, "proxy_protocol"));
        let redirect = fields.get("redirect").and_then(|node| self.redirect(node));
        Some(ListenFile {
            address: address?,
            mode,
            tls,
            http2,
            proxy_protocol: proxies.map(|networks| networks.value),
            redirect,
        })
    }

    pub(super) fn address(&mut self, node: &Node) -> Option<Located<Address>> {
        let port;
        let text = if let Value::Number(number) = node.value {
            // Not an address, but enough to say how to write one.
            port = number.to_string();
            &port
        } else {
            node.text("address", self.problems)?
        };
        let place = node.place.clone();
        if let Some(path) = text.trim().strip_prefix("unix:") {
            let value = Address::Unix(self.folder.join(path));
            // The kernel takes no longer ones.
            if path.is_empty() || path.len() > 100 {
                let what = "`address` must be a path of at most 100 bytes behind `unix:`";
                self.problems.add(&place, what, "unix:/run/tinyscale/http.sock");
                return None;
            }
            return Some(Located { value, place });
        }
        let Ok(value) = text.trim().parse() else {
            let what = "`address` is not an IP address with a port";
            self.problems.add(&place, what, address_like(text));
            return None;
        };
        Some(Located { value: Address::Ip(value), place })
    }

    fn mode(&mut self, node: &Node) -> Option<Located<u32>> {
        let example = "three or four digits in double quotes, like \"0660\"";
        let text = node.text("mode", self.problems)?;
        let mode = u32::from_str_radix(text.trim(), 8).ok().filter(|mode| *mode <= 0o777);
        if mode.is_none() {
            self.problems.add(&node.place, "`mode` is not the mode of a file", example);
        }
        Some(Located { value: mode?, place: node.place.clone() })
    }

    fn redirect(&mut self, node: &Node) -> Option<Located<Redirect>> {
        let value = match &node.value {
            Value::Flag(true) => Some(Redirect::All),
            Value::Flag(false) => Some(Redirect::Off),
            Value::Text(text) | Value::Loose(text) => match text.trim() {
                "all" => Some(Redirect::All),
                "browsers" => Some(Redirect::Browsers),
                "off" => Some(Redirect::Off),
                _ => None,
            },
            Value::Nothing | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
        };
        if value.is_none() {
            let what = "`redirect` is not one of its words";
            self.problems.add(&node.place, what, "`all`, `browsers` or `off`");
        }
        Some(Located { value: value?, place: node.place.clone() })
    }

    fn listen_tls(&mut self, node: &Node) -> Option<Located<ListenTlsFile>> {
        let fields = node.fields("`tls`", &["certificates", "acme"], self.problems)?;
        let (certificates, acme) = (fields.get("certificates"), fields.get("acme"));
        if certificates.is_none() && acme.is_none() {
            let what = "this `tls` has no certificate";
            let instead = "certificates: [{ cert: PATH, key: PATH }], or acme: { domains: [HOST] }";
            self.problems.add(&node.place, what, instead);
        }
        let example = "certificates: [{ cert: PATH, key: PATH }]";
        let list = certificates.and_then(|node| node.list("certificates", example, self.problems));
        let certificates = list.unwrap_or_default().iter();
        let value = ListenTlsFile {
            certificates: certificates.filter_map(|entry| self.certificate(entry)).collect(),
            acme: acme.and_then(|node| self.acme(node)),
        };
        Some(Located { value, place: node.place.clone() })
    }

    fn certificate(&mut self, node: &Node) -> Option<CertificateFile> {
        let subject = "an entry of `certificates`";
        let fields = node.fields(subject, &["cert", "key"], self.problems)?;
        let mut path = |key: &str, example: &str| {
            let node = fields.need(key, "this certificate", example, self.problems)?;
            self.path(node, key)
        };
        let cert = path("cert", "cert: PATH of the certificate and its chain, in PEM form");
        let key = path("key", "key: PATH of its private key, in PEM form");
        let place = node.place.clone();
        Some(CertificateFile { place, cert: cert?.value, key: key?.value })
    }

    fn acme(&mut self, node: &Node) -> Option<Located<AcmeFile>> {
        let fields = node.fields("`acme`", &ACME, self.problems)?;
        let value = AcmeFile {
            email: fields.get("email").and_then(|node| self.email(node)),
            domains: self.domains(&fields),
            directory: fields.get("directory").and_then(|node| self.directory(node)),
            ca: fields.get("ca").and_then(|node| self.path(node, "ca")),
        };
        Some(Located { value, place: node.place.clone() })
    }

    fn email(&mut self, node: &Node) -> Option<String> {
        let text = node.text("email", self.problems)?.trim();
        let (name, host) = text.split_once('@').unwrap_or_default();
        if name.is_empty() || !host.contains('.') || text.contains([' ', ',', '?']) {
            let what = "`email` is not one mail address";
            self.problems.add(&node.place, what, "email: ops@example.org");
            return None;
        }
        Some(text.to_owned())
    }

    fn domains(&mut self, fields: &Fields<'_>) -> Vec<String> {
        let example = "domains: [bbb.example.org]";
        let node = fields.need("domains", "this `acme`", example, self.problems);
        let list = node.and_then(|node| node.list("domains", example, self.problems));
        let list = list.unwrap_or_default();
        let mut domains: Vec<String> = Vec::new();
        for entry in list {
            let Some(text) = entry.text("domains", self.problems) else { continue };
            let name = text.trim().to_ascii_lowercase();
            if name.starts_with("*.") {
                let what = "wildcards need proof in the DNS, which tinyscale cannot give";
                let instead =
                    "each name by itself, or a certificate from elsewhere under `certificates`";
                self.problems.add(&entry.place, what, instead);
            } else if !is_domain(&name) {
                let what = "an entry of `domains` is not a host name";
                self.problems.add(&entry.place, what, "a name like bbb.example.org");
            } else if domains.contains(&name) {
                self.problems.add(&entry.place, "this domain is given twice", "each domain once");
            } else if domains.len() == DOMAINS_MAX {
                let what = format!("`domains` has more than {DOMAINS_MAX} entries");
                self.problems.add(&entry.place, what, "a certificate of its own for the others");
                break;
            } else {
                domains.push(name);
            }
        }
        domains
    }

    fn directory(&mut self, node: &Node) -> Option<String> {
        let text = node.text("directory", self.problems)?.trim();
        let host = text.strip_prefix("https://").unwrap_or_default();
        if host.is_empty() || host.starts_with('/') || text.contains(['@', ' ']) {
            let what = "`directory` is not an https URL";
            let instead = "the URL of the ACME directory, like https://acme.example.org/directory";
            self.problems.add(&node.place, what, instead);
            return None;
        }
        Some(text.to_owned())
    }
}

/// Whether it is a host name with at least two labels, in lower case.
fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        let usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(usual)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address = name.parse::<IpAddr>().is_ok();
    name.len() <= 253 && name.contains('.') && !is_address && name.split('.').all(label)
}

/// What someone who wrote `text` for an address may have meant.
fn address_like(text: &str) -> String {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(port) = text.trim_start_matches([':', '*']).parse::<u16>() {
        format!("\"[::]:{port}\"")
    } else if let Ok(ip) = bare.parse::<IpAddr>() {
        format!("\"{}\"", SocketAddr::new(ip, 3005))
    } else if text.starts_with('/') {
        format!("\"unix:{text}\"")
    } else {
        "\"[::]:3005\" for all addresses of this machine, \"127.0.0.1:3005\" for this machine only"
            .to_owned()
    }
}
