//! A front end's side of the API: signs with a checksum of its own and reads answers as front ends do.

use std::net::SocketAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};

pub(crate) const SECRET: &str = "chaos-front-end";

/// What came back.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// BBB's XML with status 200.
    Xml(String),
    /// A redirect, to there.
    Redirect(String),
    /// Anything else that is complete HTTP.
    Other(u16, String),
    /// No answer.
    Nothing(String),
}

/// Calls tinyscale; keeps no connection, as most front ends.
pub(crate) struct Client {
    http: reqwest::Client,
    address: SocketAddr,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(15))
            .no_proxy()
            .build()
            .unwrap();
        Self { http, address }
    }

    pub(crate) async fn call(&self, call: &str, query: &str) -> Answer {
        let sum = hex::encode(Sha256::digest(format!("{call}{query}{SECRET}")));
        let and = if query.is_empty() { "" } else { "&" };
        let address = self.address;
        let url = format!("http://{address}/bigbluebutton/api/{call}?{query}{and}checksum={sum}");
        self.fetch(&url).await
    }

    pub(crate) async fn fetch(&self, url: &str) -> Answer {
        self.fetch_with(url, None).await.0
    }

    /// With a cookie, and the cookie that came.
    pub(crate) async fn fetch_with(
        &self,
        url: &str,
        cookie: Option<&str>,
    ) -> (Answer, Option<String>) {
        let mut request = self.http.get(url);
        if let Some(cookie) = cookie {
            request = request.header("Cookie", cookie);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return (Answer::Nothing(format!("{error:?}")), None),
        };
        let header = |name: &str| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let cookie = header("set-cookie").and_then(|text| Some(text.split_once(';')?.0.to_owned()));
        let (status, location) = (answer.status().as_u16(), header("location"));
        let is_xml = header("content-type").is_some_and(|kind| kind.starts_with("text/xml"));
        let body = match answer.text().await {
            Ok(body) => body,
            Err(error) => return (Answer::Nothing(format!("{error:?}")), cookie),
        };
        let complete =
            body.trim().ends_with("</response>") && body.trim().starts_with("<response>");
        let answer = match (status, location) {
            (301..=308, Some(location)) => Answer::Redirect(location),
            (200, _) if is_xml && complete => Answer::Xml(body),
            _ => Answer::Other(status, body),
        };
        (answer, cookie)
    }

    pub(crate) async fn post(&self, url: &str, body: &serde_json::Value) -> bool {
        let request = self.http.post(url).body(body.to_string()).timeout(Duration::from_secs(2));
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    pub(crate) async fn delete(&self, url: &str) -> bool {
        let request = self.http.delete(url).timeout(Duration::from_secs(2));
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    pub(crate) async fn json(&self, url: &str) -> Option<serde_json::Value> {
        let answer = self.http.get(url).timeout(Duration::from_secs(1)).send().await.ok()?;
        serde_json::from_slice(&answer.bytes().await.ok()?).ok()
    }
}

/// The text of the first element of that name, `""` if there is none.
pub(crate) fn text<'a>(xml: &'a str, name: &str) -> &'a str {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let Some((_, rest)) = xml.split_once(&open) else { return "" };
    rest.split_once(&close).map_or("", |(text, _)| text)
}

/// All of them.
pub(crate) fn texts<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0)).collect()
}
