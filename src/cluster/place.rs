//! Decisions: which servers may take a new meeting, which of them it gets, and why. The reservation is made by
//! whoever asks, in the same step.

use crate::cluster::health::Health;
use crate::cluster::meetings::Key;
use crate::cluster::moment::Moment;
use crate::cluster::placement::cost::Share;
use crate::cluster::placement::expectation::Prior;
use crate::cluster::placement::explain::{Choice, Explanation};
use crate::cluster::placement::sizes::SizeKey;
use crate::cluster::placement::tags::{Pool, TagWish};
use crate::cluster::placement::{Candidate, Newcomer};
use crate::cluster::server::{Mode, ServerId};
use crate::cluster::{Cluster, Member};

/// What a slow start begins with.
const WARMTH_MIN: f64 = 0.1;

/// A meeting to place.
pub(crate) struct Seat<'s> {
    pub(crate) key: &'s Key,
    pub(crate) tags: &'s TagWish,
    pub(crate) prior: Prior,
    /// What it will add to its server.
    pub(crate) share: Share,
    /// Servers that were tried and made nothing.
    pub(crate) tried: &'s [ServerId],
}

impl Cluster {
    /// Chooses a server for the meeting and keeps the reasons.
    pub(crate) fn place(&mut self, seat: &Seat<'_>, now: Moment) -> Option<ServerId> {
        let (candidates, pool) = self.candidates(seat, now)?;
        let new = Newcomer { cost: seat.share.cost(), giant: seat.share.is_giant() };
        let ranking = self.placement.choose(&new, &candidates);
        let mut choices = ranking.rated().filter_map(|rated| {
            let name = self.members.get(&rated.server)?.spec.name.clone();
            Some(Choice { server: rated.server, name, score: rated.score })
        });
        let chosen = choices.next()?;
        let server = chosen.server;
        let explanation = Explanation {
            at: now,
            meeting: SizeKey::of(seat.key).short(),
            chosen,
            next: choices.collect(),
            reason: if candidates.len() > 1 { self.placement.reason() } else { "the only one" },
            candidates: candidates.len(),
            pool,
            expected: seat.share.expected(),
            source: seat.prior.source,
            retry: !seat.tried.is_empty(),
        };
        self.explanations.keep(explanation);
        Some(server)
    }

    /// The servers that may take the meeting: serving ones that are `Up`, or, if there is none, `Suspect`
    /// ones, because refusing everybody is worse than trying; within their capacity; of the best pool that
    /// has any.
    fn candidates(&self, seat: &Seat<'_>, now: Moment) -> Option<(Vec<Candidate>, Pool)> {
        let mut used = self.members.values().filter(|member| member.mode != Mode::Disable);
        let all_tagged =
            self.rules.all_tagged_open && used.all(|member| !member.spec.tags.is_empty());
        [Health::Up, Health::Suspect].into_iter().find_map(|health| {
            seat.tags.pools(all_tagged).find_map(|pool| {
                let candidates: Vec<Candidate> = self
                    .members
                    .iter()
                    .filter(|(_, member)| pool.has(&member.spec.tags, seat.tags))
                    .filter_map(|(id, member)| self.candidate(*id, member, health, seat, now))
                    .collect();
                (!candidates.is_empty()).then_some((candidates, pool))
            })
        })
    }

    fn candidate(
        &self,
        server: ServerId,
        member: &Member,
        health: Health,
        seat: &Seat<'_>,
        now: Moment,
    ) -> Option<Candidate> {
        let load = self.meetings.load(server);
        let may = member.mode == Mode::Serve
            && member.pulse.health() == health
            && load.leaves_room(&member.spec.capacity, &seat.share)
            && !seat.tried.contains(&server);
        let warmth = self.warmth(member, now);
        may.then_some(Candidate { server, weight: member.spec.weight, warmth, load })
    }

    fn warmth(&self, member: &Member, now: Moment) -> f64 {
        let slow_start = self.rules.slow_start.as_secs_f64();
        let back = now.since(member.pulse.back()).as_secs_f64();
        if back >= slow_start { 1.0 } else { (back / slow_start).max(WARMTH_MIN) }
    }
}

#[cfg(test)]
mod tests;
