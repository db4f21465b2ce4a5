//! The callback parameters of a create, replaced in place by URLs of tinyscale. Names, order and every other
//! byte stay: a server takes the first of `bbb-`, `bn-` and `canvas-recording-ready-url` that it finds.
//!
//! What servers then show in `<metadata>` is tinyscale's URL. It stays that way: answers are passed through
//! byte for byte, no front end that is known reads these keys back, and whoever can read the metadata could
//! otherwise read the front end's URL there, which for some is a password.

use crate::bbb::call::Call;
use crate::bbb::id::MeetingId;
use crate::bbb::query::Param;
use crate::callback::seal::{Destination, Sealer};
use crate::callback::{Kind, PATH, target};

/// `call` with tinyscale's URLs, below `public_url`, in place of the front end's. What is no URL that can be
/// called, or is too long, stays.
pub fn rewrite(call: Call, meeting: &MeetingId, sealer: &Sealer, public_url: &str) -> Call {
    call.with_values(|param| replacement(param, meeting, sealer, public_url))
}

fn replacement(
    param: &Param<'_>,
    meeting: &MeetingId,
    sealer: &Sealer,
    public_url: &str,
) -> Option<String> {
    let kind = kind_of(&param.name())?;
    let url = param.value().trim().to_owned();
    let base = format!("{public_url}{PATH}");
    // A front end that sends back what it read in metadata must not get ever longer URLs.
    if !target::is_callable(&url) || url.starts_with(&base) {
        return None;
    }
    let about = match kind {
        // Two meetings that end must be told apart although their front end gave them one URL.
        Kind::EndCallback | Kind::MeetingEnded => meeting.as_str().to_owned(),
        Kind::RecordingReady | Kind::Analytics | Kind::Other | Kind::Hook => String::new(),
    };
    let token = sealer.token(&Destination { kind, url, about })?;
    Some(format!("{base}{token}"))
}

/// What a parameter of create is called for, if it is a callback. Servers read metadata keys in lower case.
fn kind_of(name: &str) -> Option<Kind> {
    if name == "meetingEndedURL" {
        return Some(Kind::MeetingEnded);
    }
    let key = name.strip_prefix("meta_")?.to_ascii_lowercase();
    if key == "endcallbackurl" {
        Some(Kind::EndCallback)
    } else if key == "analytics-callback-url" {
        Some(Kind::Analytics)
    } else if key.ends_with("-recording-ready-url") {
        Some(Kind::RecordingReady)
    } else if key.ends_with("-callback-url") {
        Some(Kind::Other)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::call::{CallName, SignedCall};
    use crate::bbb::checksum::{Algorithm, sign};
    use crate::bbb::id::TenantId;
    use crate::bbb::query;
    use crate::bbb::secret::Secret;
    use crate::callback::seal::Keyring;

    const PUBLIC: &str = "https://bbb.test";

    fn keyring() -> Keyring {
        Keyring::new([(TenantId::DEFAULT, Secret::new("front").unwrap())])
    }

    fn rewritten(params: &str) -> String {
        let secret = Secret::new("front").unwrap();
        let name = CallName::Create;
        let wire = sign("create", params, Algorithm::Sha1, &secret);
        let call = SignedCall { name: &name, query: &wire, form: None }.verify(&[secret]).unwrap();
        let (ring, meeting) = (keyring(), MeetingId::new("room").unwrap());
        let sealer = ring.of(call.secret()).unwrap();
        rewrite(call, &meeting, sealer, PUBLIC).query().to_owned()
    }

    fn opened(value: &str) -> Destination {
        let token = value.strip_prefix("https://bbb.test/callback/").unwrap();
        keyring().open_token(token).unwrap().1
    }

    #[test]
    fn callbacks_are_replaced_and_nothing_else() {
        let query = "a=%2f&meta_bn-recording-ready-url=https%3a//m.test/x.php%3fa=1%26b=%2524&z=+'";
        let out = rewritten(query);
        let value = query::first(&out, "meta_bn-recording-ready-url").unwrap().into_owned();
        let to = opened(&value);
        assert_eq!(
            (to.kind, to.url.as_str()),
            (Kind::RecordingReady, "https://m.test/x.php?a=1&b=%24")
        );
        let encoded = query::encode(&value);
        assert_eq!(out, format!("a=%2f&meta_bn-recording-ready-url={encoded}&z=+'"));
        assert_eq!(out, rewritten(query), "a repeated create is the same");
    }

    #[test]
    fn every_kind_is_known_by_its_name() {
        for (name, kind) in [
            ("meetingEndedURL", Some(Kind::MeetingEnded)),
            ("meta_endCallbackUrl", Some(Kind::EndCallback)),
            ("meta_ENDCALLBACKURL", Some(Kind::EndCallback)),
            ("meta_bbb-recording-ready-url", Some(Kind::RecordingReady)),
            ("meta_canvas-Recording-ready-url", Some(Kind::RecordingReady)),
            ("meta_analytics-callback-url", Some(Kind::Analytics)),
            ("meta_my-callback-url", Some(Kind::Other)),
            ("meetingendedurl", None),
            ("logoutURL", None),
            ("Meta_endCallbackUrl", None),
            ("meta_bbb-origin-server-name", None),
        ] {
            assert_eq!(kind_of(name), kind, "{name}");
            let out = rewritten(&format!("{name}=https%3A%2F%2Fa.test%2F"));
            assert_eq!(out.contains("bbb.test"), kind.is_some(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_called_stays() {
        for value in ["", "none", "ftp%3A%2F%2Fa.test%2F", "https%3A%2F%2Fbbb.test%2Fcallback%2Fx"]
        {
            let query = format!("meta_endCallbackUrl={value}");
            assert_eq!(rewritten(&query), query);
        }
    }

    #[test]
    fn the_end_of_two_meetings_is_told_apart() {
        let out = rewritten("meta_endCallbackUrl=https%3A%2F%2Fgl.test%2Fended");
        assert_eq!(opened(&query::first(&out, "meta_endCallbackUrl").unwrap()).about, "room");
    }
}
