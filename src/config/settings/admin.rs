//! The listener for operators: where it is, and who may do what there.

use crate::bbb::secret::Secret;
use crate::config::settings::Listen;

/// What somebody may do. Each may also do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Viewer,
    /// Change what a server is used for.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// As operators write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role that operators write so.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Who may come, and as what.
#[derive(Debug, Clone)]
pub struct AdminToken {
    /// What the audit log calls them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What they show; never a front end's or a server's secret.
    pub token: Secret,
}

/// The listener for operators.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// Where it is; this machine only unless it has tokens.
    pub listen: Listen,
    /// Who may come. Without any, everybody on this machine may look and nobody may change anything.
    pub tokens: Vec<AdminToken>,
}

impl AdminSettings {
    /// Whether both say the same, wherever it was written.
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |(one, other): (&AdminToken, &AdminToken)| {
            one.name == other.name && one.role == other.role && one.token.is_same(&other.token)
        };
        self.listen.address == other.listen.address
            && self.tokens.len() == other.tokens.len()
            && self.tokens.iter().zip(&other.tokens).all(same)
    }
}
