//! Which call a path names, and what each call takes and is answered in. Knows nothing of checksums.

use crate::bbb::reply::Format;

/// The calls of the API (`bbb-api.md` 2.0).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallName {
    /// The version answer at `/bigbluebutton/api`; carries no name on the wire.
    Index,
    /// `create`
    Create,
    /// `join`
    Join,
    /// `isMeetingRunning`
    IsMeetingRunning,
    /// `end`
    End,
    /// `getMeetingInfo`
    GetMeetingInfo,
    /// `getMeetings`
    GetMeetings,
    /// `insertDocument`
    InsertDocument,
    /// `sendChatMessage`
    SendChatMessage,
    /// `getRecordings`
    GetRecordings,
    /// `publishRecordings`
    PublishRecordings,
    /// `deleteRecordings`
    DeleteRecordings,
    /// `updateRecordings`
    UpdateRecordings,
    /// `getRecordingTextTracks`
    GetRecordingTextTracks,
    /// `putRecordingTextTrack`
    PutRecordingTextTrack,
    /// Anything else, also calls that future versions bring: letters and digits, segments split by `/`.
    Other(Box<str>),
}

const NAMED: [(&str, CallName); 14] = [
    ("create", CallName::Create),
    ("join", CallName::Join),
    ("isMeetingRunning", CallName::IsMeetingRunning),
    ("end", CallName::End),
    ("getMeetingInfo", CallName::GetMeetingInfo),
    ("getMeetings", CallName::GetMeetings),
    ("insertDocument", CallName::InsertDocument),
    ("sendChatMessage", CallName::SendChatMessage),
    ("getRecordings", CallName::GetRecordings),
    ("publishRecordings", CallName::PublishRecordings),
    ("deleteRecordings", CallName::DeleteRecordings),
    ("updateRecordings", CallName::UpdateRecordings),
    ("getRecordingTextTracks", CallName::GetRecordingTextTracks),
    ("putRecordingTextTrack", CallName::PutRecordingTextTrack),
];

const CALL_NAME_BYTES_MAX: usize = 64;
/// Longer paths are none of the API's; taking them apart would only cost time.
const PATH_BYTES_MAX: usize = 256;

impl CallName {
    /// The call that `path` names: `/bigbluebutton/api/<call>`, with `//` as `/` (Greenlight sends
    /// `//create`), the index with and without slash and at `/bigbluebutton/`. `None`: no API path.
    pub fn of_path(path: &str) -> Option<Self> {
        if path.len() > PATH_BYTES_MAX {
            return None;
        }
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        if segments.next() != Some("bigbluebutton") {
            return None;
        }
        match segments.next() {
            None => return Some(Self::Index),
            Some("api") => {}
            Some(_) => return None,
        }
        let Some(head) = segments.next() else { return Some(Self::Index) };
        let name = segments.fold(head.to_owned(), |name, segment| format!("{name}/{segment}"));
        Some(Self::of_name(&name))
    }

    pub(super) fn of_name(name: &str) -> Self {
        NAMED
            .iter()
            .find(|(known, _)| *known == name)
            .map_or_else(|| Self::Other(name.into()), |(_, call)| call.clone())
    }

    /// The name as it is hashed and sent.
    pub fn as_str(&self) -> &str {
        if let Self::Other(name) = self {
            return name;
        }
        NAMED.iter().find(|(_, call)| call == self).map_or("", |(name, _)| name)
    }

    /// Whether it changes nothing, so that it makes no difference if it is carried out twice. What future
    /// calls do is unknown.
    pub fn only_asks(&self) -> bool {
        matches!(
            self,
            Self::Index
                | Self::IsMeetingRunning
                | Self::GetMeetingInfo
                | Self::GetMeetings
                | Self::GetRecordings
                | Self::GetRecordingTextTracks
        )
    }

    /// A name that is safe in logs and metric labels: nothing a client made up.
    pub fn label(&self) -> &str {
        if *self == Self::Index {
            "index"
        } else if matches!(self, Self::Other(_)) {
            "other"
        } else {
            self.as_str()
        }
    }

    /// Whether the name could be one of a call at all; what fails this is never hashed or sent.
    pub fn is_plausible(&self) -> bool {
        let name = self.as_str();
        name.len() <= CALL_NAME_BYTES_MAX
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'/')
    }

    /// Whether the fields of a multipart body are parameters: everywhere but where a file is meant to go on.
    pub fn reads_multipart(&self) -> bool {
        !matches!(self, Self::PutRecordingTextTrack | Self::Other(_))
    }

    /// What the call is answered in.
    pub fn format(&self) -> Format {
        if matches!(self, Self::GetRecordingTextTracks | Self::PutRecordingTextTrack) {
            Format::Json
        } else {
            Format::Xml
        }
    }

    /// Whether the call is about recordings rather than a running meeting.
    pub fn is_about_recordings(&self) -> bool {
        matches!(
            self,
            Self::GetRecordings
                | Self::PublishRecordings
                | Self::DeleteRecordings
                | Self::UpdateRecordings
                | Self::GetRecordingTextTracks
                | Self::PutRecordingTextTrack
        )
    }

    /// Whether the call takes this method (`bbb-api.md` 2.0; `scalelite.md` PR6, DE5). A join by POST, as
    /// front ends of BBB 2 may send it, becomes a GET by the redirect that answers it.
    pub fn takes(&self, method: Method) -> bool {
        match (self, method) {
            (_, Method::Other) => false,
            (Self::InsertDocument | Self::PutRecordingTextTrack, method) => method == Method::Post,
            (Self::SendChatMessage | Self::PublishRecordings | Self::DeleteRecordings, method) => {
                method == Method::Get
            }
            _ => true,
        }
    }

    /// Whether a POST of this call may carry a body of this type (`bbb-api.md` 1.5, newest rule; XML is
    /// accepted under both of its names because old Moodle sends `text/xml` on insertDocument).
    pub fn takes_body(&self, body: BodyType) -> bool {
        match body {
            BodyType::None => true,
            BodyType::Form | BodyType::Multipart => *self != Self::InsertDocument,
            BodyType::Xml => matches!(self, Self::Create | Self::InsertDocument | Self::Other(_)),
            BodyType::Unknown => matches!(self, Self::PutRecordingTextTrack | Self::Other(_)),
        }
    }
}

/// The HTTP method as far as the API cares. HEAD counts as GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET or HEAD
    Get,
    /// POST
    Post,
    /// None that any call takes.
    Other,
}

/// What a request body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    /// There is none, or it counts for nothing.
    None,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `application/xml` or `text/xml`
    Xml,
    /// `multipart/form-data`
    Multipart,
    /// Anything else, or not announced.
    Unknown,
}

impl BodyType {
    /// The type that a Content-Type header announces; parameters and case are ignored.
    pub fn of_content_type(value: &str) -> Self {
        let mime = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match mime.as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            "application/xml" | "text/xml" | "application/x-xml" => Self::Xml,
            "multipart/form-data" => Self::Multipart,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_their_calls() {
        let other = |name: &str| Some(CallName::Other(name.into()));
        for (path, expected) in [
            ("/bigbluebutton/api", Some(CallName::Index)),
            ("/bigbluebutton/api/", Some(CallName::Index)),
            ("/bigbluebutton/", Some(CallName::Index)),
            ("/bigbluebutton", Some(CallName::Index)),
            ("/bigbluebutton/api/create", Some(CallName::Create)),
            ("/bigbluebutton/api//create", Some(CallName::Create)),
            ("//bigbluebutton//api/create/", Some(CallName::Create)),
            ("/bigbluebutton/api/Create", other("Create")),
            ("/bigbluebutton/api/hooks/create", other("hooks/create")),
            ("/bigbluebutton/presentation/x", None),
            ("/", None),
            ("/create", None),
            ("/bigbluebutton/apix", None),
            ("/bigbluebutton%2fapi/create", None),
            ("/bigbluebutton/%61pi/create", None),
            ("/bigbluebutton/api/../api/create", other("../api/create")),
            ("/bigbluebutton/api/%2e%2e/create", other("%2e%2e/create")),
            (&format!("/bigbluebutton/api/{}", "a/".repeat(200)), None),
        ] {
            assert_eq!(CallName::of_path(path), expected, "{path}");
        }
    }

    #[test]
    fn made_up_names_are_not_plausible() {
        assert!(CallName::of_name("hooks/create").is_plausible());
        for name in ["..", "a%2fb", "a b", "create?x", &"a".repeat(65)] {
            assert!(!CallName::of_name(name).is_plausible(), "{name}");
        }
    }

    #[test]
    fn methods_and_bodies_of_calls() {
        assert!(CallName::Create.takes(Method::Post));
        assert!(!CallName::DeleteRecordings.takes(Method::Post));
        assert!(!CallName::InsertDocument.takes(Method::Get));
        assert!(!CallName::End.takes(Method::Other));
        assert!(CallName::Create.takes_body(BodyType::of_content_type("Text/XML; charset=utf-8")));
        assert!(CallName::Join.takes(Method::Post));
        assert!(CallName::End.takes_body(BodyType::Multipart));
        assert!(!CallName::InsertDocument.takes_body(BodyType::Multipart));
        assert!(!CallName::End.takes_body(BodyType::Xml));
        assert!(!CallName::InsertDocument.takes_body(BodyType::Form));
        assert!(!CallName::Create.takes_body(BodyType::of_content_type("application/json")));
    }
}
