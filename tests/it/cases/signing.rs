//! Which checksums open the API, and which do not.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tinyscale::bbb::checksum::{Algorithm, sign};
use tinyscale::bbb::secret::Secret;

use crate::cases::FORM;
use crate::harness::{Gateway, SECRET, World, fetch, http, settings, sims};

/// A call of getMeetingInfo: ID, algorithm, what is hashed between the call's name and the secret, then query
/// and form body (empty: none), in which `@` is the checksum; whether it opens.
type Case = (&'static str, Algorithm, &'static str, &'static str, &'static str, bool);

const SHA1: Algorithm = Algorithm::Sha1;
const SHA256: Algorithm = Algorithm::Sha256;
const ID: &str = "meetingID=room";

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("C2", SHA256, ID, "meetingID=room", "", false),
    ("C2: empty", SHA256, ID, "meetingID=room&checksum=", "", false),
    ("C3", SHA256, ID, "meetingID=room&checksum=0000000000000000000000000000000000000000000000000000000000000000", "", false),
    ("C4", SHA256, ID, "meetingID=room&checksum=abc", "", false),
    ("CK2", SHA1, ID, "meetingID=room&checksum=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "", false),
    ("CK4", SHA256, ID, "meetingID=room&checksum=totallyNotAHash", "", false),
    ("CK3 C5 clients M3", SHA1, ID, "meetingID=room&checksum=@", "", true),
    ("CK3 C5 clients M3", SHA256, ID, "meetingID=room&checksum=@", "", true),
    ("C5 4.15: unlike Scalelite", Algorithm::Sha384, ID, "meetingID=room&checksum=@", "", true),
    ("CK3 C5 clients M3", Algorithm::Sha512, ID, "meetingID=room&checksum=@", "", true),
    ("C7 clients M4: first", SHA256, ID, "checksum=@&meetingID=room", "", true),
    ("4.16: in the middle", SHA256, "meetingID=room&a=1", "meetingID=room&checksum=@&a=1", "", true),
    ("C8: blanks as +", SHA256, "a=x+y&meetingID=room", "a=x+y&meetingID=room&checksum=@", "", true),
    ("C8: blanks as %20", SHA256, "a=x%20y&meetingID=room", "a=x%20y&meetingID=room&checksum=@", "", true),
    ("C8: lower-case escapes", SHA256, "a=%2b%c3%a9&meetingID=room", "a=%2b%c3%a9&meetingID=room&checksum=@", "", true),
    ("C8: another spelling of the same is another", SHA256, "a=x+y&meetingID=room", "a=x%20y&meetingID=room&checksum=@", "", false),
    ("new: another order is another", SHA256, "a=1&meetingID=room", "meetingID=room&a=1&checksum=@", "", false),
    ("C9", SHA256, "", "", "meetingID=room&checksum=@", true),
    ("CK6", SHA1, "", "", "meetingID=room&checksum=@", true),
    ("CK7", SHA256, "", "", "meetingID=room&checksum=@", true),
    ("C9: as BBB 2.x hashes it", SHA1, "a=1&meetingID=room", "", "meetingID=room&a=1&checksum=@", true),
    ("C11: the query is used", SHA256, ID, "meetingID=room&checksum=@", "a=1", true),
    ("C11: a form beside a query is not hashed", SHA256, "a=1", "meetingID=room&checksum=@", "a=1", false),
    ("4.15: a key in query and body", SHA256, ID, "meetingID=room&checksum=@", "meetingID=other", false),
    ("4.15: a checksum in query and body", SHA256, ID, "meetingID=room&checksum=@", "checksum=@", false),
    ("C17: the length decides", SHA256, "meetingID=room&checksumHash=sha512", "meetingID=room&checksumHash=sha512&checksum=@", "", true),
    ("bbb-api 1.2: twice", SHA256, ID, "meetingID=room&checksum=@&checksum=@", "", false),
    ("bbb-api 1.2: a padded name overwrites", SHA256, ID, "meetingID=room&checksum=@&%20checksum=x", "", false),
    ("bbb-api 1.2: an escaped name is not found", SHA256, ID, "meetingID=room&%63hecksum=@", "", false),
    ("clients M4: PHP's empty piece", SHA256, "", "&checksum=@", "", true),
    ("clients S32: an apostrophe that was escaped on the way", SHA1, "meetingID=room&a=O'Neil", "meetingID=room&a=O%27Neil&checksum=@", "", true),
];

/// The checksum alone of `getMeetingInfo`, `hashed` and `secret`.
fn sum(algorithm: Algorithm, hashed: &str, secret: &str) -> String {
    let signed = sign("getMeetingInfo", hashed, algorithm, &Secret::new(secret).unwrap());
    signed.rsplit('=').next().unwrap().to_owned()
}

/// Whether the gateway lets the call in.
async fn opens(gateway: &Gateway, query: &str, form: &str, content_type: &str) -> bool {
    let mark = if query.is_empty() { "" } else { "?" };
    let url = format!("{}/getMeetingInfo{mark}{query}", gateway.api());
    let request = if form.is_empty() {
        http().get(url)
    } else {
        http().post(url).header("Content-Type", content_type).body(form.to_owned())
    };
    let answer = fetch(request).await;
    assert!(answer.is_bbb_xml(), "{answer:?}");
    answer.text("messageKey") != "checksumError"
}

#[tokio::test]
async fn checksums() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let mut failed = Vec::new();
    for (id, algorithm, hashed, query, form, expected) in CASES {
        let sum = sum(*algorithm, hashed, SECRET);
        let (query, form) = (query.replace('@', &sum), form.replace('@', &sum));
        let opening = opens(&world.gateway, &query, &form, FORM);
        if AssertUnwindSafe(opening).catch_unwind().await.ok() != Some(*expected) {
            failed.push((id, algorithm, query, form));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn c6_digits_in_upper_case() {
    let world = World::start(1).await;
    let query = format!("meetingID=room&checksum={}", sum(SHA256, ID, SECRET).to_uppercase());
    assert!(opens(&world.gateway, &query, "", "").await);
}

#[tokio::test]
async fn c10_a_form_with_a_charset() {
    let world = World::start(1).await;
    let form = format!("meetingID=room&checksum={}", sum(SHA256, "", SECRET));
    assert!(opens(&world.gateway, "", &form, &format!("{FORM}; charset=utf-8")).await);
    assert!(
        opens(&world.gateway, "", &form, "Application/X-WWW-Form-URLEncoded;charset=UTF-8").await
    );
}

#[tokio::test]
async fn c12_a_form_on_a_get_counts_for_nothing() {
    let world = World::start(1).await;
    let form = format!("meetingID=room&checksum={}", sum(SHA256, "", SECRET));
    let request = http().get(format!("{}/getMeetingInfo", world.gateway.api()));
    fetch(request.header("Content-Type", FORM).body(form)).await.assert_failed("checksumError");
}

#[tokio::test]
async fn c18_old_and_new_secret_both_open_c20_and_none_does_not() {
    let servers = sims(1).await;
    let mut settings = settings(&servers);
    settings.secrets = ["old", "new"].map(|text| Secret::new(text).unwrap()).to_vec();
    let gateway = Gateway::start(settings).await;
    for (secret, expected) in [("old", true), ("new", true), (SECRET, false), ("secret-1", false)] {
        let query = format!("{ID}&checksum={}", sum(SHA256, ID, secret));
        assert_eq!(opens(&gateway, &query, "", "").await, expected, "{secret}");
    }
    // CK5, C20: the sum over call and query alone.
    let bare = {
        use sha2::Digest;
        hex::encode(sha2::Sha256::digest(format!("getMeetingInfo{ID}")))
    };
    assert!(!opens(&gateway, &format!("{ID}&checksum={bare}"), "", "").await);
}

#[tokio::test]
async fn ck6_ck7_the_sums_that_scalelite_expects() {
    for (secret, form, upstream) in [
        (
            "test-2",
            "meetingID=SHA1_meeting&checksum=cbf00ea96fae6ff06c2cb311bbde8b26ad66d765",
            "meetingID=SHA1_meeting&checksum=c8cd32fbbc006424c5784b8e9679b8ff0d21c577d361d9afdab37638b1d7a4e8",
        ),
        (
            "test-1",
            "meetingID=SHA256_meeting&checksum=217da05b692320353e17a1b11c24e9e715caeee51ab5af35231ee5becc350d1e",
            "meetingID=SHA256_meeting&checksum=cd288062f4b623e1f975150e4c47a8cc212937174acafe8b1f340d5aef1877af",
        ),
    ] {
        let servers = sims(1).await;
        servers[0].set_secret("test-1");
        let mut settings = settings(&servers);
        settings.secrets = vec![Secret::new(secret).unwrap()];
        let gateway = Gateway::start(settings).await;
        let id = form.split('&').next().unwrap();
        let create =
            sign("create", &format!("{id}&name=nn"), SHA256, &Secret::new(secret).unwrap());
        fetch(http().get(format!("{}/create?{create}", gateway.api()))).await.assert_success();
        let asked = http().post(format!("{}/getMeetingInfo", gateway.api()));
        fetch(asked.header("Content-Type", FORM).body(form)).await.assert_success();
        let sent = servers[0].calls_of("getMeetingInfo");
        assert_eq!((sent[0].method.as_str(), sent[0].query()), ("GET", upstream));
    }
}
