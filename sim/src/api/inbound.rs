//! One request, read and taken apart.
//!
//! Keeps the raw query next to the decoded parameters, since checksums need the former.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, header};

use crate::api::{Gate, route};
use crate::checksum::{Check, Verdict};
use crate::node::Node;
use crate::params::Params;

/// What `api` sees of a request.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) method: Method,
    /// `create`, `hooks/list` .., `index`, `client`, `rtt-check`, `graphql`, or the path of anything else.
    pub(crate) call: String,
    /// Query first, then the form body if there is one.
    pub(crate) params: Params,
    /// Parameters of the query alone.
    pub(crate) query_params: Params,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What the checksum check found; `None` if the call has no checksum.
    pub(crate) verdict: Option<Verdict>,
    /// Print counts with separators.
    pub(crate) locale_numbers: bool,
}

impl Inbound {
    pub(crate) fn new(node: &Node, parts: Parts, body: Bytes) -> Self {
        let query = parts.uri.query().unwrap_or("");
        let query_params = Params::parse(query);
        let mut params = query_params.clone();
        let kind = header_text(&parts.headers, &header::CONTENT_TYPE).to_ascii_lowercase();
        if parts.method == Method::POST && kind.starts_with("application/x-www-form-urlencoded") {
            params.append(&String::from_utf8_lossy(&body));
        }
        let call = call_of(parts.uri.path());
        let verdict = verdict(node, &call, query, &params);
        Self {
            method: parts.method,
            call,
            params,
            query_params,
            headers: parts.headers,
            body,
            verdict,
            locale_numbers: false,
        }
    }

    /// The value of a header, empty if it is absent or no text.
    pub(crate) fn header(&self, name: &header::HeaderName) -> &str {
        header_text(&self.headers, name)
    }

    /// The `JSESSIONID` that came with the request.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .find_map(|pair| pair.trim().strip_prefix("JSESSIONID="))
    }
}

fn header_text<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn verdict(node: &Node, call: &str, query: &str, params: &Params) -> Option<Verdict> {
    let gate = route(call)?.gate;
    if gate == Gate::Open {
        return None;
    }
    let state = node.state();
    let check = Check {
        call,
        query,
        params,
        secret: &state.secret,
        algorithms: &state.algorithms,
        profile: node.config.profile,
        rebuild: gate == Gate::Checksum,
    };
    Some(check.verdict())
}

/// The name of the call behind a path.
fn call_of(path: &str) -> String {
    if let Some(rest) = path.strip_prefix("/bigbluebutton") {
        return match rest {
            "" | "/" | "/api" | "/api/" => "index".to_owned(),
            "/rtt-check" => "rtt-check".to_owned(),
            _ => rest.strip_prefix("/api/").unwrap_or(path).to_owned(),
        };
    }
    match path {
        "/" => "start-page".to_owned(),
        "/graphql" => "graphql".to_owned(),
        _ if path == "/html5client" || path.starts_with("/html5client/") => "client".to_owned(),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::call_of;

    #[test]
    fn paths_become_calls() {
        let cases = [
            ("/bigbluebutton/api", "index"),
            ("/bigbluebutton/api/", "index"),
            ("/bigbluebutton/", "index"),
            ("/bigbluebutton/api/create", "create"),
            ("/bigbluebutton/api/hooks/list", "hooks/list"),
            ("/bigbluebutton/rtt-check", "rtt-check"),
            ("/bigbluebutton/other", "/bigbluebutton/other"),
            ("/html5client/", "client"),
            ("/html5client/join", "client"),
            ("/html5clients", "/html5clients"),
            ("/", "start-page"),
        ];
        for (path, call) in cases {
            assert_eq!(call_of(path), call, "{path}");
        }
    }
}
