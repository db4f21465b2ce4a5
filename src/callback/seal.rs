//! Tokens: a front end's URL sealed under a key of the front end's own secret.
//!
//! The same URL always gives the same token, because a repeated create must be sent as the first one was:
//! the nonce is a hash of what is sealed, which only tells apart what differs. A token opens only under the
//! secret it was made with, so a callback can only ever be signed for the front end that asked for it.
//!
//! Layout, in base64url: 4 bytes that say which key, 12 of nonce, the sealed text, 16 of tag.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use subtle::ConstantTimeEq;

use crate::bbb::id::TenantId;
use crate::bbb::secret::Secret;
use crate::callback::Kind;

/// Changes with the layout, so that tokens of another version open nothing.
const SALT: &[u8] = b"tinyscale callback 1";
const KEY_ID_BYTES: usize = 4;
/// Longer URLs are left as they are: with the token in it a create would no longer fit a request line.
pub const URL_BYTES_MAX: usize = 2000;
/// Of a token as text. More than [`URL_BYTES_MAX`] and what it is about can make.
const TOKEN_BYTES_MAX: usize = 8192;

/// What a token holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination {
    /// What is told there.
    pub kind: Kind,
    /// The front end's own URL, byte for byte.
    pub url: String,
    /// For the end of a meeting its ID; for events the server they come from and what was asked for.
    pub about: String,
}

/// One front end's secret and the keys made from it.
pub struct Sealer {
    /// Whose.
    pub tenant: TenantId,
    /// What is sent to the front end is signed with this.
    pub secret: Secret,
    id: [u8; KEY_ID_BYTES],
    nonce: hmac::Key,
    key: LessSafeKey,
}

/// The sealers of all secrets that are in use.
pub struct Keyring(Vec<Sealer>);

impl Sealer {
    fn new(tenant: TenantId, secret: Secret) -> Option<Self> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT);
        let source = salt.extract(secret.bytes());
        let derive = |purpose: &[u8]| {
            let mut key = [0; 32];
            let purpose = [purpose];
            let derived = source.expand(&purpose, hkdf::HKDF_SHA256).ok()?;
            derived.fill(&mut key).ok()?;
            Some(key)
        };
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&derive(b"id")?[..KEY_ID_BYTES]);
        let nonce = hmac::Key::new(hmac::HMAC_SHA256, &derive(b"nonce")?);
        let key = UnboundKey::new(&CHACHA20_POLY1305, &derive(b"seal")?).ok()?;
        Some(Self { tenant, secret, id, nonce, key: LessSafeKey::new(key) })
    }

    /// The token of `to`; `None` if its URL is too long for one.
    pub fn token(&self, to: &Destination) -> Option<String> {
        if to.url.len() > URL_BYTES_MAX {
            return None;
        }
        let about_len = u16::try_from(to.about.len()).ok()?.to_be_bytes();
        let text = [&[code(to.kind)], &about_len[..], to.about.as_bytes(), to.url.as_bytes()];
        let token = URL_SAFE_NO_PAD.encode(self.seal(Purpose::Token, &text.concat())?);
        (token.len() <= TOKEN_BYTES_MAX).then_some(token)
    }

    /// `text` so that nobody without the secret can read it, make it or change it.
    pub fn seal(&self, purpose: Purpose, text: &[u8]) -> Option<Vec<u8>> {
        let nonce = self.nonce_of(purpose, text);
        let mut sealed = text.to_vec();
        let aad = Aad::from([purpose as u8]);
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(unique, aad, &mut sealed).ok()?;
        Some([&self.id[..], &nonce, &sealed].concat())
    }

    fn nonce_of(&self, purpose: Purpose, text: &[u8]) -> [u8; NONCE_LEN] {
        let mut hashing = hmac::Context::with_key(&self.nonce);
        hashing.update(&[purpose as u8]);
        hashing.update(text);
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&hashing.sign().as_ref()[..NONCE_LEN]);
        nonce
    }

    fn open(&self, purpose: Purpose, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut text = sealed.to_vec();
        let aad = Aad::from([purpose as u8]);
        let unique = Nonce::assume_unique_for_key(nonce);
        let length = self.key.open_in_place(unique, aad, &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// What is sealed; one never opens as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// A destination, in a URL.
    Token = 1,
    /// A callback that waits, in a file.
    Kept = 2,
}

impl Keyring {
    /// The keys of `secrets`.
    pub fn new(secrets: impl IntoIterator<Item = (TenantId, Secret)>) -> Self {
        Self(secrets.into_iter().filter_map(|(of, secret)| Sealer::new(of, secret)).collect())
    }

    /// The sealer of a secret that a call was signed with.
    pub fn of(&self, secret: &Secret) -> Option<&Sealer> {
        self.0.iter().find(|sealer| sealer.secret.is_same(secret))
    }

    /// Opens a token; nothing if tinyscale did not make it, or made it for a secret that is gone.
    pub fn open_token(&self, token: &str) -> Option<(&Sealer, Destination)> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (sealer, text) = self.open(Purpose::Token, &URL_SAFE_NO_PAD.decode(token).ok()?)?;
        let (kind, rest) = text.split_first()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (about, url) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let kind = Kind::ALL.into_iter().find(|known| code(*known) == *kind)?;
        Some((sealer, Destination { kind, url: text(url)?, about: text(about)? }))
    }

    /// Opens what [`Sealer::seal`] made.
    pub fn open(&self, purpose: Purpose, sealed: &[u8]) -> Option<(&Sealer, Vec<u8>)> {
        let (id, rest) = sealed.split_first_chunk::<KEY_ID_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        // Two secrets may share an ID, once in four billion.
        let mut candidates = self.0.iter().filter(|sealer| bool::from(sealer.id.ct_eq(id)));
        candidates.find_map(|sealer| Some((sealer, sealer.open(purpose, *nonce, sealed)?)))
    }
}

/// Written into tokens, so never changed.
fn code(kind: Kind) -> u8 {
    match kind {
        Kind::EndCallback => 1,
        Kind::MeetingEnded => 2,
        Kind::RecordingReady => 3,
        Kind::Analytics => 4,
        Kind::Other => 5,
        Kind::Hook => 6,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    fn keyring(secrets: &[&str]) -> Keyring {
        Keyring::new(secrets.iter().map(|text| (TenantId::DEFAULT, secret(text))))
    }

    fn to(url: &str) -> Destination {
        let about = "room".to_owned();
        Destination { kind: Kind::EndCallback, url: url.to_owned(), about }
    }

    #[test]
    fn a_token_opens_under_its_own_secret_only() {
        let both = keyring(&["old", "new"]);
        let sealer = both.of(&secret("new")).unwrap();
        let token = sealer.token(&to("https://gl.test/ended?a=%24")).unwrap();
        let (opened_by, opened) = both.open_token(&token).unwrap();
        assert!(opened_by.secret.is_same(&secret("new")));
        assert!(opened == to("https://gl.test/ended?a=%24"));
        assert!(keyring(&["old"]).open_token(&token).is_none());
        assert!(both.of(&secret("other")).is_none());
    }

    #[test]
    fn the_same_url_gives_the_same_token_and_another_one_another() {
        let one = keyring(&["s"]);
        let token = |url| one.of(&secret("s")).unwrap().token(&to(url)).unwrap();
        assert_eq!(token("https://a.test/"), token("https://a.test/"));
        assert_ne!(token("https://a.test/")[..22], token("https://b.test/")[..22]);
    }

    #[test]
    fn what_is_sealed_for_a_file_is_no_token() {
        let ring = keyring(&["s"]);
        let text = [&[1, 0, 0], &b"https://a.test/"[..]].concat();
        let sealed = ring.of(&secret("s")).unwrap().seal(Purpose::Kept, &text).unwrap();
        assert!(ring.open_token(&URL_SAFE_NO_PAD.encode(&sealed)).is_none());
        assert!(ring.open(Purpose::Kept, &sealed).is_some());
    }

    #[test]
    fn a_url_too_long_gets_no_token() {
        let ring = keyring(&["s"]);
        let long = format!("https://a.test/{}", "x".repeat(URL_BYTES_MAX));
        assert!(ring.of(&secret("s")).unwrap().token(&to(&long)).is_none());
    }

    proptest! {
        #[test]
        fn one_altered_character_opens_nothing(at in 0usize..60, other in "[A-Za-z0-9_-]") {
            let ring = keyring(&["s"]);
            let token = ring.of(&secret("s")).unwrap().token(&to("https://a.test/x")).unwrap();
            let mut altered = token.clone();
            altered.replace_range(at..=at, &other);
            prop_assert_eq!(ring.open_token(&altered).is_some(), altered == token);
        }

        #[test]
        fn any_text_may_be_tried(token in ".{0,200}") {
            prop_assert!(keyring(&["s"]).open_token(&token).is_none());
        }
    }
}
