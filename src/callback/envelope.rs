//! A callback that was believed and is on its way: all that is needed to send it, now or after a restart,
//! except the secret it is signed with.

use std::fmt;

use bytes::Bytes;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::callback::Kind;
use crate::callback::jwt::Algorithm;

/// Names one callback; files are called after it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 16]);

impl Id {
    /// The ID of what these parts make together.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut text = Vec::new();
        for part in parts {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&digest(&SHA256, &text).as_ref()[..16]);
        Self(id)
    }

    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).ok().map(|()| Self(id))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where in a callback the signature stands, and what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signature {
    /// None was there and none will be.
    None,
    /// In `signed_parameters` of the form: the claims as they came.
    Form { payload: String, hs512: bool },
    /// In the Authorization header: the claims as they came.
    Bearer { payload: String, hs512: bool },
    /// In the Authorization header: a day from when it is sent.
    BearerForADay,
}

/// The algorithm that `hs512` stands for.
pub fn algorithm(hs512: bool) -> Algorithm {
    if hs512 { Algorithm::Hs512 } else { Algorithm::Hs256 }
}

/// The callback.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// What it tells.
    pub kind: Kind,
    /// The front end's own URL.
    pub url: String,
    /// What servers append to it, raw.
    pub query: String,
    /// The body's type as the server gave it, or empty.
    pub content_type: String,
    /// As the server gave it, or empty.
    pub user_agent: String,
    /// What is signed anew.
    pub signature: Signature,
    /// The servers whose signature it was, by name.
    pub servers: Vec<String>,
    /// The recording that must be listed first.
    pub record_id: Option<String>,
    /// Seconds since 1970.
    pub received_s: u64,
    /// What it shares its turn with: a receiver, or a hook whose events stay in order.
    pub lane: String,
    /// The same for the same callback told again.
    pub sameness: String,
    /// Which of several meetings of one ID it is about, if that is known.
    pub instance: Option<String>,
    /// The body as it came.
    #[serde(skip)]
    pub body: Bytes,
}

impl Envelope {
    /// As bytes that [`Self::from_bytes`] reads.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let head = serde_json::to_vec(self).ok()?;
        let length = u32::try_from(head.len()).ok()?.to_be_bytes();
        Some([&length[..], &head, &self.body].concat())
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (head, body) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let envelope: Self = serde_json::from_slice(head).ok()?;
        Some(Self { body: Bytes::copy_from_slice(body), ..envelope })
    }

    /// About how much memory it takes.
    pub fn size_bytes(&self) -> usize {
        512 + self.url.len() + self.query.len() + self.body.len()
    }

    /// The ID it gets now.
    pub fn id(&self) -> Id {
        let instance = self.instance.as_deref().unwrap_or_default();
        let parts = [self.sameness.as_bytes(), instance.as_bytes(), &self.received_s.to_be_bytes()];
        Id::of(&parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let envelope = Envelope {
            kind: Kind::Analytics,
            url: "https://a.test/?x=%24".to_owned(),
            query: String::new(),
            content_type: "application/json".to_owned(),
            user_agent: "BigBlueButton Analytics Callback".to_owned(),
            signature: Signature::BearerForADay,
            servers: vec!["bbb1".to_owned()],
            record_id: None,
            received_s: 17,
            lane: "a.test".to_owned(),
            sameness: "s".to_owned(),
            instance: None,
            body: Bytes::from_static(b"{\"a\":\xff}"),
        };
        let bytes = envelope.to_bytes().unwrap();
        assert!(Envelope::from_bytes(&bytes) == Some(envelope.clone()));
        for cut in 0..bytes.len() - envelope.body.len() {
            assert!(Envelope::from_bytes(&bytes[..cut]).is_none(), "{cut}");
        }
        assert_eq!(Id::parse(&envelope.id().to_string()), Some(envelope.id()));
    }
}
