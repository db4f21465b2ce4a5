//! `admin` as written.

use crate::config::document::Node;
use crate::config::file::Reader;
use crate::config::problem::Located;
use crate::config::secret::SecretSource;
use crate::config::settings::Address;
use crate::config::settings::admin::Role;

/// `admin` as written.
#[derive(Debug)]
pub(crate) struct AdminFile {
    pub(crate) address: Option<Located<Address>>,
    pub(crate) tokens: Vec<TokenFile>,
}

/// A token as written.
#[derive(Debug)]
pub(crate) struct TokenFile {
    pub(crate) name: Located<String>,
    pub(crate) role: Role,
    pub(crate) token: Located<SecretSource>,
}

const ADMIN: [&str; 2] = ["address", "tokens"];
const TOKEN: [&str; 3] = ["name", "role", "token"];
const EXAMPLE: &str = "{ name: alice, role: operator, token: { file: alice.token } }";

/// Long enough for any name of a person or a program, short enough for a line of the log.
const NAME_CHARS_MAX: usize = 64;

impl Reader<'_> {
    pub(super) fn admin(&mut self, node: &Node) -> Option<AdminFile> {
        let fields = node.fields("`admin`", &ADMIN, self.problems)?;
        let address = fields.get("address").and_then(|node| self.address(node));
        let list =
            fields.get("tokens").and_then(|node| node.list("tokens", EXAMPLE, self.problems));
        let tokens = list.unwrap_or_default();
        let tokens = tokens.iter().filter_map(|node| self.admin_token(node)).collect();
        Some(AdminFile { address, tokens })
    }

    fn admin_token(&mut self, node: &Node) -> Option<TokenFile> {
        let subject = "an entry of `tokens`";
        let fields = node.fields(subject, &TOKEN, self.problems)?;
        let name = fields.need("name", subject, EXAMPLE, self.problems);
        let role = fields.need("role", subject, EXAMPLE, self.problems);
        let token = fields.need("token", subject, EXAMPLE, self.problems)?;
        let token = SecretSource::read(token, "the token", self.folder, self.problems)?;
        let (name, role) = (name?, role?);
        let text = name.text("name", self.problems)?.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        if text.is_empty() || text.len() > NAME_CHARS_MAX || !text.chars().all(plain) {
            let what = "`name` must be 1 to 64 letters, digits, '.', '_', '-' or '@'";
            self.problems.add(&name.place, what, "a name like alice");
            return None;
        }
        let written = role.text("role", self.problems)?.trim();
        let Some(known) = Role::of_name(written) else {
            let what = "`role` is not one that tinyscale knows";
            self.problems.add(&role.place, what, "`viewer`, `operator` or `admin`");
            return None;
        };
        let name = Located { value: text.to_owned(), place: name.place.clone() };
        Some(TokenFile { name, role: known, token })
    }
}
