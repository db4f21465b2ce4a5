//! Which paths of a server browsers reach through tinyscale: the client, and the version that it asks for
//! (`bbb-api.md` 8.1). Whatever a browser writes, the path that a server gets begins with one of the two, also
//! after the server has decoded and tidied it: what could mean something else is refused, not repaired.

use crate::cluster::server::ServerName;

const CLIENT: &str = "/html5client/";
const INDEX: &str = "/bigbluebutton/api";

/// What a path asks for of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A file of the client, or its WebSocket. The server has it under the same path, its name included.
    Client,
    /// The version of the API and where the client's other addresses are; no call of the API.
    Index,
}

/// The server that a path names, and what of it. `None`: browsers have no business there.
pub fn target(path: &str) -> Option<(ServerName, Part)> {
    let (name, _) = path.strip_prefix('/')?.split_once('/')?;
    let rest = path.get(1 + name.len()..)?;
    let name = ServerName::new(name).ok()?;
    if rest == INDEX || rest.strip_suffix('/') == Some(INDEX) {
        return Some((name, Part::Index));
    }
    is_plain(rest.strip_prefix(CLIENT)?).then_some((name, Part::Client))
}

/// Whether a path below a folder stays there, however often it is decoded.
fn is_plain(path: &str) -> bool {
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if (segment.is_empty() && !is_last) || !is_plain_segment(segment) {
            return false;
        }
    }
    true
}

fn is_plain_segment(segment: &str) -> bool {
    if segment == "." || segment == ".." {
        return false;
    }
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let is_fine = match byte {
            b'%' => bytes.next().zip(bytes.next()).is_some_and(stays_text),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte),
        };
        if !is_fine {
            return false;
        }
    }
    true
}

/// Whether two hex digits stand for a byte that means nothing in a path.
fn stays_text((high, low): (u8, u8)) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let Some((high, low)) = digit(high).zip(digit(low)) else { return false };
    let byte = high * 16 + low;
    byte >= 0x20 && byte != 0x7f && !b"%/\\.;?#".iter().any(|special| u32::from(*special) == byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(path: &str) -> Option<Part> {
        target(path).map(|(_, part)| part)
    }

    #[test]
    fn the_client_and_the_version_are_reached() {
        for path in [
            "/bbb1/html5client/",
            "/bbb1/html5client/join",
            "/bbb1/html5client/locales/",
            "/bbb1/html5client/sockjs/123/ab_c/websocket",
            "/bbb.example.org/html5client/a%20b~c.js",
        ] {
            assert_eq!(part(path), Some(Part::Client), "{path}");
        }
        for path in ["/bbb1/bigbluebutton/api", "/bbb1/bigbluebutton/api/"] {
            assert_eq!(part(path), Some(Part::Index), "{path}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for path in [
            "",
            "/",
            "*",
            "/bbb1",
            "/bbb1/",
            "/bbb1/html5client",
            "/bbb1/html5clientx/",
            "/bbb1/HTML5client/",
            "//bbb1/html5client/",
            "/bbb1//html5client/",
            "/bbb1/html5client//x",
            "/../html5client/",
            "/./html5client/",
            "/bbb1/html5client/..",
            "/bbb1/html5client/../bigbluebutton/api/create",
            "/bbb1/html5client/x/./y",
            "/bbb1/html5client/%2e%2e/x",
            "/bbb1/html5client/.%2E/x",
            "/bbb1/html5client/..%2fx",
            "/bbb1/html5client/..%5cx",
            "/bbb1/html5client/..\\x",
            "/bbb1/html5client/%252e%252e/x",
            "/bbb1/html5client/..;/x",
            "/bbb1/html5client/x;y",
            "/bbb1/html5client/..%3b/x",
            "/bbb1/html5client/x%00",
            "/bbb1/html5client/x%0a",
            "/bbb1/html5client/x%",
            "/bbb1/html5client/x%2",
            "/bbb1/html5client/x%zz",
            "/bbb1/html5client/x%23",
            "/bbb1/html5client/x%3fy",
            "/bbb1/html5client/\u{e4}",
            "/bbb1/bigbluebutton/api//",
            "/bbb1/bigbluebutton/api/.",
            "/bbb1/bigbluebutton/api/create",
            "/bbb1/bigbluebutton/api;x",
            "/bbb1/bigbluebutton/apix",
            "/bbb1/bigbluebutton/",
            "/bbb1/graphql",
            "/b%62b1/html5client/",
            "http://bbb1/html5client/",
        ] {
            assert_eq!(target(path), None, "{path}");
        }
    }

    /// Decodes as a careless server might: everything, again and again, backslashes as slashes, without what
    /// follows a semicolon; then resolves dots.
    fn tidied(path: &str) -> String {
        let mut bytes = path.as_bytes().to_vec();
        for _ in 0..4 {
            let mut decoded = Vec::new();
            let mut at = 0;
            while at < bytes.len() {
                let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
                let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                match byte.filter(|_| bytes[at] == b'%') {
                    Some(byte) => {
                        decoded.push(byte);
                        at += 3;
                    }
                    None => {
                        decoded.push(bytes[at]);
                        at += 1;
                    }
                }
            }
            bytes = decoded;
        }
        let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
        let mut folders: Vec<&str> = Vec::new();
        for segment in text.split('/') {
            match segment.split([';', '\0', '?', '#']).next().unwrap_or_default() {
                "" | "." => {}
                ".." => {
                    folders.pop();
                }
                plain => folders.push(plain),
            }
        }
        format!("/{}/", folders.join("/"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn whatever_is_written_it_stays_in_its_folder(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "/", ".", "..", "%2e", "%2F", "%5c", "\\", "%25", "2e", ";", "%3b", "x", "%00", "api", "%",
                    "%20", "?", "#", "//", "html5client", "bigbluebutton",
                ]),
                0..9,
            ),
        ) {
            let path = format!("/bbb1/html5client/{}", pieces.concat());
            if target(&path).is_some() {
                prop_assert!(tidied(&path).starts_with("/bbb1/html5client/"), "{path}");
            }
        }

        #[test]
        fn whatever_bytes_come(path in "\\PC{0,40}") {
            for path in [path.clone(), format!("/bbb1{path}")] {
                if let Some((name, part)) = target(&path) {
                    let start = match part {
                        Part::Client => format!("/{name}/html5client/"),
                        Part::Index => format!("/{name}/bigbluebutton/api/"),
                    };
                    prop_assert!(tidied(&path).starts_with(&start));
                }
            }
        }
    }
}
