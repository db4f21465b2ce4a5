//! API calls: which one a path names, and the step from a call that merely arrived ([`SignedCall`]) to one
//! whose checksum was verified ([`Call`]). A [`Call`] can be made in no other way, and only a [`Call`] can be
//! signed for a server: design rule 5, kept by the compiler.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::bbb::checksum;
use crate::bbb::fault::Fault;
use crate::bbb::id::MeetingId;
use crate::bbb::query;
use crate::bbb::reply::Format;
use crate::bbb::secret::Secret;

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

impl CallName {
    /// The call that `path` names: `/bigbluebutton/api/<call>`, with `//` as `/` (Greenlight sends
    /// `//create`), the index with and without slash and at `/bigbluebutton/`. `None`: no API path.
    pub fn of_path(path: &str) -> Option<Self> {
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

    fn of_name(name: &str) -> Self {
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

    /// Whether the call takes this method (`bbb-api.md` 2.0; `scalelite.md` JO9, PR6, DE5).
    pub fn takes(&self, method: Method) -> bool {
        match (self, method) {
            (_, Method::Other) => false,
            (Self::InsertDocument | Self::PutRecordingTextTrack, method) => method == Method::Post,
            (
                Self::Join
                | Self::SendChatMessage
                | Self::PublishRecordings
                | Self::DeleteRecordings,
                method,
            ) => method == Method::Get,
            _ => true,
        }
    }

    /// Whether a POST of this call may carry a body of this type (`bbb-api.md` 1.5, newest rule; XML is
    /// accepted under both of its names because old Moodle sends `text/xml` on insertDocument).
    pub fn takes_body(&self, body: BodyType) -> bool {
        match body {
            BodyType::None => true,
            BodyType::Form => *self != Self::InsertDocument,
            BodyType::Xml => matches!(self, Self::Create | Self::InsertDocument | Self::Other(_)),
            BodyType::Multipart | BodyType::Unknown => {
                matches!(self, Self::PutRecordingTextTrack | Self::Other(_))
            }
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

/// A call as it arrived. Nothing of it may be believed.
#[derive(Clone, Copy)]
pub struct SignedCall<'r> {
    /// Which call.
    pub name: &'r CallName,
    /// The raw query, without `?`, as received.
    pub query: &'r str,
    /// The raw form body of a POST.
    pub form: Option<&'r str>,
}

/// A call whose checksum was verified.
#[derive(Clone)]
pub struct Call {
    name: CallName,
    query: String,
    form: String,
    secret: Secret,
}

impl SignedCall<'_> {
    /// Verifies the checksum against each of `secrets` (`bbb-api.md` 1.1 to 1.4).
    ///
    /// A form body is not covered by the checksum, as in BBB 3.0, unless the query is empty and the client
    /// hashed the sorted body, as in BBB 2.x; a parameter in both places is refused.
    pub fn verify(&self, secrets: &[Secret]) -> Result<Call, Fault> {
        self.check(secrets).map_err(|fault| {
            if self.name.is_about_recordings() { Fault::checksum_of_recordings() } else { fault }
        })
    }

    fn check(&self, secrets: &[Secret]) -> Result<Call, Fault> {
        let form = self.form.unwrap_or_default();
        let mut sums = [self.query, form]
            .into_iter()
            .flat_map(query::params)
            .filter(is_checksum)
            .map(|param| clean(&param.value()));
        let sum = sums.next().filter(|sum| !sum.is_empty()).ok_or(Fault::checksum_missing())?;
        if sums.next().is_some() || self.has_parameter_twice() {
            return Err(Fault::checksum_mismatch());
        }
        let hashed = checksum::strip(self.query, &sum);
        let opens = |secret: &&Secret, input: &str| {
            checksum::matches(self.name.as_str(), input, &sum, secret)
        };
        let secret = self
            .hash_inputs(&hashed)
            .find_map(|input| secrets.iter().find(|secret| opens(secret, &input)))
            .ok_or(Fault::checksum_mismatch())?;
        let form = query::without(form, is_checksum);
        let (name, query) = (self.name.clone(), hashed.into_owned());
        Ok(Call { name, query, form, secret: secret.clone() })
    }

    /// What the client may have hashed, most likely first.
    fn hash_inputs<'q>(&'q self, hashed: &'q str) -> impl Iterator<Item = Cow<'q, str>> {
        // Browsers turn the `'` that the JS library signed into %27 (clients.md S32).
        let apostrophes = hashed.contains("%27").then(|| Cow::Owned(hashed.replace("%27", "'")));
        let sorted =
            self.form.filter(|_| self.query.is_empty()).map(|form| Cow::Owned(sorted(form)));
        [Some(Cow::Borrowed(hashed)), apostrophes, sorted].into_iter().flatten()
    }

    fn has_parameter_twice(&self) -> bool {
        let Some(form) = self.form else { return false };
        query::params(form).any(|in_form| {
            query::params(self.query).any(|in_query| in_query.name() == in_form.name())
        })
    }
}

impl Call {
    /// Which call.
    pub fn name(&self) -> &CallName {
        &self.name
    }

    /// The query without its checksum, byte for byte as received.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The parameters of a form body without the checksum, byte for byte; empty if there was no form.
    pub fn form(&self) -> &str {
        &self.form
    }

    /// A parameter, from the query first, then from the form. Empty counts as absent: the Python library
    /// sends parameters it has no value for (`clients.md` 3.4).
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        [&self.query, &self.form]
            .into_iter()
            .find_map(|params| query::first(params, name))
            .filter(|value| !value.is_empty())
    }

    /// The secret that it was signed with, which says who of several front ends sent it.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The call with another value for each parameter that `value` gives one; every other byte stays.
    pub fn with_values(self, value: impl Fn(&query::Param<'_>) -> Option<String>) -> Self {
        let query = query::replace(&self.query, &value);
        let form = query::replace(&self.form, &value);
        Self { query, form, ..self }
    }

    /// The meeting that the call is about.
    pub fn meeting_id(&self) -> Option<MeetingId> {
        self.param("meetingID").and_then(|text| MeetingId::new(&text))
    }
}

fn is_checksum(param: &query::Param<'_>) -> bool {
    param.name() == "checksum"
}

fn clean(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// BBB 2.x's rebuild of a form body: keys sorted, values encoded again (`bbb-api.md` 1.4).
fn sorted(form: &str) -> String {
    let mut by_name: BTreeMap<Vec<u16>, (Cow<'_, str>, Vec<String>)> = BTreeMap::new();
    for param in query::params(form).filter(|param| !is_checksum(param)) {
        // Java sorts by UTF-16 code units, which differs from UTF-8 order beyond the first plane.
        let order = param.name().encode_utf16().collect();
        let (_, values) = by_name.entry(order).or_insert_with(|| (param.name(), Vec::new()));
        values.push(query::encode(&param.value()));
    }
    let pieces: Vec<String> = by_name
        .into_values()
        .flat_map(|(name, values)| {
            values.into_iter().map(move |value| format!("{name}={value}")).collect::<Vec<_>>()
        })
        .collect();
    pieces.join("&")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bbb::checksum::Algorithm;

    const SALT: &str = "639259d4-9dd8-4b25-bf01-95f9567eaf4b";

    fn secrets() -> Vec<Secret> {
        vec![Secret::new("other").unwrap(), Secret::new(SALT).unwrap()]
    }

    fn signed(name: &str, query: &str, form: Option<&str>) -> Result<Call, Fault> {
        SignedCall { name: &CallName::of_name(name), query, form }.verify(&secrets())
    }

    fn sum(call: &str, hashed: &str) -> String {
        let signed = checksum::sign(call, hashed, Algorithm::Sha256, &secrets()[1]);
        signed.rsplit('=').next().unwrap().to_owned()
    }

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
    fn any_of_several_secrets_opens() {
        let call =
            signed("end", &format!("meetingID=m&checksum={}", sum("end", "meetingID=m")), None);
        assert_eq!(call.unwrap().query(), "meetingID=m");
    }

    #[test]
    fn missing_and_doubled_checksums_have_their_own_texts() {
        let good = sum("end", "meetingID=m");
        for (query, expected) in [
            ("meetingID=m".to_owned(), Fault::checksum_missing()),
            ("meetingID=m&checksum=".to_owned(), Fault::checksum_missing()),
            (format!("meetingID=m&checksum={good}&checksum={good}"), Fault::checksum_mismatch()),
            (format!("meetingID=m&checksum={good}&%20checksum=x"), Fault::checksum_mismatch()),
            (format!("meetingID=M&checksum={good}"), Fault::checksum_mismatch()),
        ] {
            assert_eq!(signed("end", &query, None).err(), Some(expected), "{query}");
        }
        let fault = signed("getRecordings", "", None).err();
        assert_eq!(fault, Some(Fault::checksum_of_recordings()));
    }

    #[test]
    fn the_checksum_of_no_secret_opens_nothing() {
        // bbblb-b3lb.md C20
        use sha1::Digest;
        let sum = hex::encode(sha2::Sha256::digest("endmeetingID=m"));
        assert!(signed("end", &format!("meetingID=m&checksum={sum}"), None).is_err());
        let nobody = SignedCall { name: &CallName::End, query: "checksum=00", form: None };
        assert!(nobody.verify(&[]).is_err());
    }

    #[test]
    fn an_empty_query_may_be_written_with_an_ampersand() {
        let sum = sum("getMeetings", "");
        for query in [format!("checksum={sum}"), format!("&checksum={sum}")] {
            assert_eq!(signed("getMeetings", &query, None).unwrap().query(), "");
        }
    }

    #[test]
    fn a_form_is_verified_as_3_0_and_as_2_x_do() {
        let fields = "moderatorPW=333444&meetingID=abc123&name=Test+Meeting&attendeePW=111222";
        let sha1_of_2x = "0b89c2ebcfefb76772cbcf19386c33561f66f6ae";
        let call = signed("create", "", Some(&format!("{fields}&checksum={sha1_of_2x}"))).unwrap();
        assert_eq!(call.form(), fields);
        assert_eq!(call.param("meetingID").unwrap(), "abc123");
        let of_nothing = sum("create", "");
        assert!(signed("create", "", Some(&format!("{fields}&checksum={of_nothing}"))).is_ok());
        let in_query = format!("checksum={of_nothing}");
        assert!(signed("create", &in_query, Some(fields)).is_ok());
    }

    #[test]
    fn the_sorted_form_does_not_count_beside_a_query() {
        let form = "a=1&meetingID=m";
        let query = format!("x=1&checksum={}", sum("create", form));
        assert!(signed("create", &query, Some(form)).is_err());
    }

    #[test]
    fn a_parameter_in_query_and_form_is_refused() {
        let query = format!("meetingID=m&checksum={}", sum("end", "meetingID=m"));
        assert!(signed("end", &query, Some("password=x")).is_ok());
        assert_eq!(
            signed("end", &query, Some("meeting%49D=other")).err(),
            Some(Fault::checksum_mismatch())
        );
    }

    #[test]
    fn apostrophes_that_browsers_escape_still_verify() {
        let sum = sum("join", "fullName=O'Neil");
        let call = signed("join", &format!("fullName=O%27Neil&checksum={sum}"), None).unwrap();
        assert_eq!(call.query(), "fullName=O%27Neil");
    }

    #[test]
    fn methods_and_bodies_of_calls() {
        assert!(CallName::Create.takes(Method::Post));
        assert!(!CallName::DeleteRecordings.takes(Method::Post));
        assert!(!CallName::InsertDocument.takes(Method::Get));
        assert!(!CallName::End.takes(Method::Other));
        assert!(CallName::Create.takes_body(BodyType::of_content_type("Text/XML; charset=utf-8")));
        assert!(!CallName::End.takes_body(BodyType::Xml));
        assert!(!CallName::InsertDocument.takes_body(BodyType::Form));
        assert!(!CallName::Create.takes_body(BodyType::of_content_type("application/json")));
    }

    proptest! {
        #[test]
        fn what_was_signed_verifies_and_one_changed_byte_does_not(
            query in "([a-zA-Z]{1,8}=[a-zA-Z0-9%+._-]{0,12}&){0,4}meetingID=[a-z0-9]{1,9}",
            at in any::<prop::sample::Index>(),
        ) {
            let wire = checksum::sign("end", &query, Algorithm::Sha512, &secrets()[1]);
            prop_assert!(signed("end", &wire, None).is_ok());
            let mut broken = wire.into_bytes();
            let at = at.index(query.len());
            broken[at] = if broken[at] == b'x' { b'y' } else { b'x' };
            prop_assert!(signed("end", std::str::from_utf8(&broken).unwrap(), None).is_err());
        }
    }
}
