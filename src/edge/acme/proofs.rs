//! What an ACME server asks to see by plain HTTP before it gives a certificate for a name (RFC 8555, 8.3).

use std::path::PathBuf;

use parking_lot::Mutex;

/// Below it, and nowhere else, proofs are found.
const PATH: &str = "/.well-known/acme-challenge/";
/// Tokens have 22 characters and more (RFC 8555, 8.1).
const TOKEN_BYTES_MAX: usize = 256;
const PROOF_BYTES_MAX: u64 = 1024;

/// The proofs that may be asked for now. Also as files, for a second process at the same address.
#[derive(Debug, Default)]
pub struct Proofs {
    known: Mutex<Vec<(String, String)>>,
    folder: Option<PathBuf>,
}

/// What a request for a proof gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Proof {
    /// This.
    Text(String),
    /// There is none.
    Unknown,
}

impl Proofs {
    /// With this folder for the files.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { known: Mutex::default(), folder }
    }

    /// Shows `text` to who asks for `token`. Fails if it cannot be written for the other process.
    pub fn show(&self, token: &str, text: &str) -> std::io::Result<()> {
        if !is_token(token) {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        self.known.lock().push((token.to_owned(), text.to_owned()));
        match &self.folder {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                std::fs::write(folder.join(token), text)
            }
            None => Ok(()),
        }
    }

    /// Nobody needs to see it any more.
    pub fn hide(&self, token: &str) {
        self.known.lock().retain(|(known, _)| known != token);
        if let Some(folder) = self.folder.as_ref().filter(|_| is_token(token)) {
            // One that stays is of no use to anybody.
            let _ = std::fs::remove_file(folder.join(token));
        }
    }

    /// The answer to a request with this path, if it asks for a proof.
    pub fn at(&self, path: &str) -> Option<Proof> {
        let token = path.strip_prefix(PATH)?;
        if !is_token(token) {
            return Some(Proof::Unknown);
        }
        let known = self.known.lock().iter().find(|(known, _)| known == token).cloned();
        let text = known.map(|(_, text)| text).or_else(|| self.kept(token));
        Some(text.map_or(Proof::Unknown, Proof::Text))
    }

    fn kept(&self, token: &str) -> Option<String> {
        use std::io::Read;
        let file = std::fs::File::open(self.folder.as_ref()?.join(token)).ok()?;
        let mut text = String::new();
        file.take(PROOF_BYTES_MAX).read_to_string(&mut text).ok()?;
        Some(text)
    }
}

/// Whether it is base64url, as tokens are; so it is no path either.
fn is_token(text: &str) -> bool {
    let usual = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=TOKEN_BYTES_MAX).contains(&text.len()) && text.chars().all(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_shown_here_and_by_a_second_process() {
        let folder = tempfile::tempdir().unwrap();
        let of = || Proofs::new(Some(folder.path().join("proofs")));
        let (one, other) = (of(), of());
        one.show("to-ken_1", "to-ken_1.thumb").unwrap();
        let path = format!("{PATH}to-ken_1");
        for proofs in [&one, &other] {
            assert_eq!(proofs.at(&path), Some(Proof::Text("to-ken_1.thumb".to_owned())));
            for strange in ["", "other", "../to-ken_1", "a/b", "a%2e", &"a".repeat(257)] {
                assert_eq!(
                    proofs.at(&format!("{PATH}{strange}")),
                    Some(Proof::Unknown),
                    "{strange}"
                );
            }
            assert_eq!(proofs.at("/bigbluebutton/api"), None);
        }
        assert!(one.show("../up", "x").is_err());
        one.hide("to-ken_1");
        assert_eq!(other.at(&path), Some(Proof::Unknown));
    }
}
