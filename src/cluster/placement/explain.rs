//! Why a meeting went where it went: kept for the last decisions, and written as one line. No name or ID of a
//! meeting, only a few letters of its hash.

use std::collections::VecDeque;
use std::fmt;

use crate::cluster::moment::Moment;
use crate::cluster::placement::expectation::Source;
use crate::cluster::placement::tags::Pool;
use crate::cluster::server::{ServerId, ServerName};

/// A server in a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Which.
    pub server: ServerId,
    /// What operators call it.
    pub name: ServerName,
    /// Lower is better.
    pub score: f64,
}

/// One decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// When.
    pub at: Moment,
    /// Letters that tell the meeting from others and do not name it.
    pub meeting: String,
    /// Where it went.
    pub chosen: Choice,
    /// Those that would have been next, better first, at most two.
    pub next: Vec<Choice>,
    /// Why.
    pub reason: &'static str,
    /// How many servers could have taken it.
    pub candidates: usize,
    /// Which servers those were.
    pub pool: Pool,
    /// People expected in it.
    pub expected: f64,
    /// Where that number comes from.
    pub source: Source,
    /// Whether another server was tried before.
    pub retry: bool,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chosen, reason, candidates, expected, .. } = self;
        let (source, pool) = (self.source.name(), self.pool.name());
        write!(f, "meeting={} server={} score={:.1}", self.meeting, chosen.name, chosen.score)?;
        f.write_str(" next=")?;
        for (i, next) in self.next.iter().enumerate() {
            write!(f, "{}{}:{:.1}", if i > 0 { "," } else { "" }, next.name, next.score)?;
        }
        if self.next.is_empty() {
            f.write_str("-")?;
        }
        write!(f, " reason=\"{reason}\" of={candidates} pool={pool}")?;
        write!(f, " expected={expected:.0} known_from={source} retry={}", self.retry)
    }
}

/// How many decisions are kept: those of the last bell on a large cluster, half a megabyte at most.
const KEPT_MAX: usize = 1_000;

/// The last decisions.
#[derive(Debug, Default)]
pub struct Explanations(VecDeque<Explanation>);

impl Explanations {
    pub(crate) fn keep(&mut self, explanation: Explanation) {
        if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(explanation);
    }

    /// The newest one.
    pub fn last(&self) -> Option<&Explanation> {
        self.0.back()
    }

    /// All that are kept, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Explanation> {
        self.0.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explanation(at: u64) -> Explanation {
        let choice = |server, score| Choice {
            server: ServerId(server),
            name: ServerName::new(&format!("bbb{server}")).unwrap(),
            score,
        };
        Explanation {
            at: Moment(at),
            meeting: "1a2b3c4d".to_owned(),
            chosen: choice(1, 10.04),
            next: vec![choice(2, 11.0), choice(3, 12.55)],
            reason: "least expected load",
            candidates: 22,
            pool: Pool::Untagged,
            expected: 29.6,
            source: Source::Learned,
            retry: false,
        }
    }

    #[test]
    fn one_line_tells_it() {
        let line = explanation(0).to_string();
        insta::assert_snapshot!(line, @r#"meeting=1a2b3c4d server=bbb1 score=10.0 next=bbb2:11.0,bbb3:12.6 reason="least expected load" of=22 pool=untagged expected=30 known_from=learned retry=false"#);
        let alone = Explanation { next: Vec::new(), ..explanation(0) };
        assert!(alone.to_string().contains(" next=- "));
    }

    #[test]
    fn only_the_last_ones_are_kept() {
        let mut kept = Explanations::default();
        for at in 0..KEPT_MAX as u64 + 5 {
            kept.keep(explanation(at));
        }
        assert_eq!(kept.iter().count(), KEPT_MAX);
        assert_eq!(kept.last().unwrap().at, Moment(KEPT_MAX as u64 + 4));
        assert_eq!(kept.iter().last().unwrap().at, Moment(5));
    }
}
