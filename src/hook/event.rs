//! An event on its way from a server to a front end.

use bytes::Bytes;

use crate::bbb::id::TenantId;
use crate::bbb::query;
use crate::bbb::secret::Secret;
use crate::callback::Kind;
use crate::callback::envelope::{Envelope, Id, Signature};
use crate::callback::receive::{Arrived, Refusal};
use crate::hook::{Hook, HookId, sign};

/// Judges what the server with `secret` sent to `own_url`, tinyscale's URL for `hook` there. Events go on
/// with `domain`, the one name that front ends know.
pub fn receive(
    hook: &Hook,
    arrived: &Arrived<'_>,
    own_url: &str,
    secret: &Secret,
    domain: &str,
    now_s: u64,
) -> Result<Envelope, Refusal> {
    if !arrived.is_post {
        return Err(Refusal::Method);
    }
    let body = std::str::from_utf8(&arrived.body).map_err(|_| Refusal::Malformed)?;
    let sum = query::first(arrived.query, "checksum").unwrap_or_default();
    if !sign::matches(own_url, body, &sum, secret)
        && !sign::is_bearer_of(arrived.authorization, secret)
    {
        return Err(Refusal::Unsigned);
    }
    let field = |name| query::first(body, name).filter(|value| !value.is_empty());
    let event = field("event").ok_or(Refusal::Malformed)?;
    let when = field("timestamp").unwrap_or_default();
    let lane = lane(hook);
    // Told again by a server that was not sure, or by one at which the hook is registered twice.
    let sameness = Id::of(&[lane.as_bytes(), event.as_bytes(), when.as_bytes()]);
    let renamed =
        query::replace(body, |param| (param.name() == "domain").then(|| domain.to_owned()));
    Ok(Envelope {
        kind: Kind::Hook,
        url: hook.url.clone(),
        query: String::new(),
        content_type: "application/x-www-form-urlencoded;charset=UTF-8".to_owned(),
        user_agent: String::new(),
        signature: Signature::None,
        servers: Vec::new(),
        record_id: None,
        received_s: now_s,
        lane,
        sameness: sameness.to_string(),
        instance: None,
        body: Bytes::from(renamed),
    })
}

/// The turn that all events of one hook share.
fn lane(hook: &Hook) -> String {
    format!("hook {} {}", hook.tenant.0, hook.id)
}

/// The hook whose events share this turn.
pub fn hook_of(lane: &str) -> Option<(TenantId, HookId)> {
    let (tenant, id) = lane.strip_prefix("hook ")?.split_once(' ')?;
    Some((TenantId(tenant.parse().ok()?), HookId::parse(id)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::checksum::Algorithm;
    use crate::hook::sign::Form;
    use crate::hook::tests::asked;

    const OWN: &str = "https://bbb.test/callback/x";
    const BODY: &str = "domain=bbb1.test&event=%5B%7B%7D%5D&timestamp=17";

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    fn judged(body: &str, query: &str, authorization: &str) -> Result<Envelope, Refusal> {
        let hook = asked("callbackURL=https%3A%2F%2Fmy.test%2Fh").unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        let arrived =
            Arrived { is_post: true, query, content_type: "", user_agent: "", authorization, body };
        receive(&hook, &arrived, OWN, &secret("s"), "bbb.test", 17)
    }

    fn query_of(form: Form, body: &str, of: &str) -> String {
        let signed = sign::sign(form, Algorithm::Sha1, OWN, body, &secret(of));
        signed.split_once('?').unwrap().1.to_owned()
    }

    #[test]
    fn events_go_on_under_the_one_name_that_front_ends_know() {
        for form in Form::ALL {
            let envelope = judged(BODY, &query_of(form, BODY, "s"), "").ok().unwrap();
            assert_eq!(envelope.body, "domain=bbb.test&event=%5B%7B%7D%5D&timestamp=17");
            assert_eq!(envelope.url, "https://my.test/h");
        }
        let envelope = judged(BODY, "", "Bearer s").ok().unwrap();
        let hook = asked("callbackURL=https%3A%2F%2Fmy.test%2Fh").unwrap();
        assert_eq!(hook_of(&envelope.lane), Some((hook.tenant, hook.id)));
        assert_eq!(hook_of("my.test"), None);
    }

    #[test]
    fn nobody_else_can_send_any() {
        for query in ["", "checksum=", &query_of(Form::Body, BODY, "other")] {
            assert_eq!(judged(BODY, query, "").err(), Some(Refusal::Unsigned), "{query}");
        }
        let query = query_of(Form::Body, BODY, "s");
        let altered = BODY.replace("17", "18");
        assert_eq!(judged(&altered, &query, "").err(), Some(Refusal::Unsigned));
        let empty = "domain=bbb1.test";
        let query = query_of(Form::Body, empty, "s");
        assert_eq!(judged(empty, &query, "").err(), Some(Refusal::Malformed));
    }

    #[test]
    fn the_same_event_is_known_again() {
        let same =
            |body: &str| judged(body, &query_of(Form::Body, body, "s"), "").ok().unwrap().sameness;
        assert_eq!(same(BODY), same(&BODY.replace("bbb1", "bbb2")));
        assert_ne!(same(BODY), same(&BODY.replace("17", "18")));
    }
}
