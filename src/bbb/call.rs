//! API calls: which one a path names, and the step from a call that merely arrived ([`SignedCall`]) to one
//! whose checksum was verified ([`Call`]). A [`Call`] can be made in no other way, and only a [`Call`] can be
//! signed for a server: design rule 5, kept by the compiler.

mod name;

use std::borrow::Cow;

use crate::bbb::checksum;
use crate::bbb::fault::Fault;
use crate::bbb::form;
use crate::bbb::id::MeetingId;
use crate::bbb::query;
use crate::bbb::secret::Secret;

pub use name::{BodyType, CallName, Method};

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
    form_is_signed: bool,
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
        let in_both = self.form.is_some_and(|form| form::overlaps(self.query, form));
        if sums.next().is_some() || in_both {
            return Err(Fault::checksum_mismatch());
        }
        let hashed = checksum::strip(self.query, &sum);
        let form_is_signed = self
            .hash_inputs(&hashed)
            .find(|(input, _)| {
                let matches = |secret| checksum::matches(self.name.as_str(), input, &sum, secret);
                secrets.iter().any(matches)
            })
            .map(|(_, covers_form)| covers_form)
            .ok_or(Fault::checksum_mismatch())?;
        let form = query::without(form, is_checksum);
        let (name, query) = (self.name.clone(), hashed.into_owned());
        Ok(Call { name, query, form, form_is_signed })
    }

    /// What the client may have hashed, most likely first, and whether that covers the form.
    fn hash_inputs<'q>(&'q self, hashed: &'q str) -> impl Iterator<Item = (Cow<'q, str>, bool)> {
        // Browsers turn the `'` that the JS library signed into %27 (clients.md S32).
        let apostrophes =
            hashed.contains("%27").then(|| (Cow::Owned(hashed.replace("%27", "'")), false));
        let sorted = self
            .form
            .filter(|_| self.query.is_empty())
            .map(|form| (Cow::Owned(form::sorted(form)), true));
        [Some((Cow::Borrowed(hashed), false)), apostrophes, sorted].into_iter().flatten()
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

    /// Whether the checksum covers the form. If not, whoever sent the call chose the form's parameters freely,
    /// and a URL that a browser gets must not hold them (design rule 5).
    pub fn form_is_signed(&self) -> bool {
        self.form_is_signed || self.form.is_empty()
    }

    /// The same call with another value for the parameter `name` of its query; what else is there keeps its
    /// bytes. For values that tinyscale itself knows, never for what a client says.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: &str) -> Self {
        let pieces: Vec<Cow<'_, str>> = self
            .query
            .split('&')
            .map(|piece| match query::params(piece).next() {
                Some(param) if param.name() == name => {
                    Cow::Owned(format!("{}={}", query::encode(name), query::encode(value)))
                }
                Some(_) | None => Cow::Borrowed(piece),
            })
            .collect();
        self.query = pieces.join("&");
        self
    }

    /// A parameter, from the query first, then from the form. Empty counts as absent: the Python library
    /// sends parameters it has no value for (`clients.md` 3.4).
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        [&self.query, &self.form]
            .into_iter()
            .find_map(|params| query::first(params, name))
            .filter(|value| !value.is_empty())
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
    fn only_the_sorted_form_is_covered_by_its_checksum() {
        let form = "meetingID=m&fullName=A";
        let of_sorted = sum("join", "fullName=A&meetingID=m");
        let call = signed("join", "", Some(&format!("{form}&checksum={of_sorted}"))).unwrap();
        assert!(call.form_is_signed());
        let in_query = format!("checksum={}", sum("join", ""));
        assert!(!signed("join", &in_query, Some(form)).unwrap().form_is_signed());
        assert!(signed("join", &in_query, None).unwrap().form_is_signed());
    }

    #[test]
    fn a_replaced_parameter_leaves_the_other_bytes_alone() {
        let query = "a=%2f&&createTime=1&b=x+y&create%54ime=2";
        let call = signed("join", &format!("{query}&checksum={}", sum("join", query)), None);
        let call = call.unwrap().with_param("createTime", "17");
        assert_eq!(call.query(), "a=%2f&&createTime=17&b=x+y&createTime=17");
    }

    #[test]
    fn apostrophes_that_browsers_escape_still_verify() {
        let sum = sum("join", "fullName=O'Neil");
        let call = signed("join", &format!("fullName=O%27Neil&checksum={sum}"), None).unwrap();
        assert_eq!(call.query(), "fullName=O%27Neil");
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
