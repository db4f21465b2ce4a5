//! The recording calls: who is asked, and what is remembered of the answers. What the answers mean is
//! decided in `recording`.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;

use crate::bbb::call::Call;
use crate::bbb::fault::Fault;
use crate::bbb::reply::{Format, Reply};
use crate::cluster::server::{ServerId, ServerSpec};
use crate::gateway::Gateway;
use crate::recording::filter::Filter;
use crate::recording::id::{RecordId, locate_query};
use crate::recording::merge::Merged;
use crate::recording::owners::Owners;
use crate::recording::split::{Part, Split, Verdict};
use crate::recording::track;

/// How many servers are changed at the same time.
const CHANGED_AT_ONCE_MAX: usize = 64;

type Answers = Vec<(ServerId, Option<Bytes>)>;

fn merged(answers: &Answers) -> Merged<'_, ServerId> {
    Merged::of(answers.iter().map(|(server, body)| (*server, body.as_deref())))
}

impl Gateway {
    /// getRecordings of all servers as one.
    pub(super) async fn recordings(&self, call: &Call) -> Reply {
        let filter = Filter::of(call);
        let answers = self.ask_all("getRecordings", filter.upstream_query()).await;
        let merged = merged(&answers);
        self.remember(&merged);
        merged.answer(&filter)
    }

    fn remember(&self, merged: &Merged<'_, ServerId>) {
        let mut owners = self.state.owners();
        for (id, server) in merged.found() {
            owners.learn(id, server);
        }
    }

    /// publishRecordings, deleteRecordings, updateRecordings at the servers that have them.
    pub(super) async fn change_recordings(&self, call: &Call) -> Reply {
        let split = Split::of(call, &self.state.owners());
        match self.change(call, split).await {
            Ok(Outcome { all_unknown: true, from_memory: true, .. }) => {
                // What was remembered is out of date: the recordings may be elsewhere.
                let anew = Split::of(call, &Owners::new(0));
                self.change(call, anew)
                    .await
                    .map_or_else(|fault| refused(&fault), |outcome| outcome.reply)
            }
            Ok(outcome) => outcome.reply,
            Err(fault) => refused(&fault),
        }
    }

    async fn change(
        &self,
        call: &Call,
        split: Result<Split<ServerId>, Fault>,
    ) -> Result<Outcome, Fault> {
        let mut split = split?;
        let locate = split.locate_query();
        if let Some(query) = &locate {
            let answers = self.ask_all("getRecordings", query).await;
            let located = merged(&answers);
            self.remember(&located);
            split.locate(&located);
        }
        let parts = split.parts()?;
        let asked = &split;
        let sending =
            parts.into_iter().map(|part| async move { self.change_at(call, asked, part).await });
        let verdicts: Vec<Verdict> =
            futures::stream::iter(sending).buffered(CHANGED_AT_ONCE_MAX).collect().await;
        let all_unknown = verdicts.iter().all(|verdict| *verdict == Verdict::NotFound);
        Ok(Outcome { reply: split.answer(verdicts), all_unknown, from_memory: locate.is_none() })
    }

    async fn change_at(
        &self,
        call: &Call,
        split: &Split<ServerId>,
        part: Part<ServerId>,
    ) -> Verdict {
        let name = call.name().as_str();
        let answer = self.client.call(part.server, name, &part.query, self.timeouts.call).await;
        let verdict = split.verdict(answer.ok().as_deref());
        if verdict == Verdict::NotFound {
            let mut owners = self.state.owners();
            for id in &part.ids {
                owners.forget(id, part.server);
            }
        }
        verdict
    }

    /// The server that has the recording, remembered or asked for; else the answer to the client.
    pub(super) async fn server_of(
        &self,
        id: &RecordId,
    ) -> Result<(ServerId, Arc<ServerSpec>), Reply> {
        let remembered = self.state.owners().of(id).first().copied();
        let server = match remembered {
            Some(server) => server,
            None => {
                let answers = self.ask_all("getRecordings", &locate_query([id])).await;
                let located = merged(&answers);
                self.remember(&located);
                track::server_of(id, &located)?
            }
        };
        let unreachable = || Reply::fault(&Fault::server_unreachable(), Format::Json);
        Ok((server, self.usable(server).ok_or_else(unreachable)?))
    }
}

/// What came of a change.
struct Outcome {
    reply: Reply,
    /// No server knows any of the recordings.
    all_unknown: bool,
    /// Nobody was asked where they are.
    from_memory: bool,
}

fn refused(fault: &Fault) -> Reply {
    Reply::fault(fault, Format::Xml)
}
