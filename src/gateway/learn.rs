//! What the answer to a forwarded call teaches the cluster, before the client has it: the next call must find
//! what this one was told (`clients.md` 4.2).

use crate::bbb::call::CallName;
use crate::bbb::id::InternalId;
use crate::bbb::xml::{Answer, ReturnCode};
use crate::cluster::claim::Made;
use crate::gateway::exchange::{Create, Errand};
use crate::state::State;

/// Learns from a complete answer; `None`: it was too large to be read or says nothing.
pub(crate) fn from_answer(state: &State, errand: &mut Errand, answer: Option<&Answer>) {
    let Some(answer) = answer else { return };
    if errand.is_create() {
        return from_create(state, errand, answer);
    }
    let Some(id) = &errand.meeting else { return };
    let (tenant, server) = (errand.tenant, errand.server);
    let name = errand.call.name();
    let succeeded = answer.returncode == ReturnCode::Success;
    if *name == CallName::End && succeeded {
        let now = state.now();
        state.cluster().ended(tenant, id, server, now);
        state.probe_soon(server);
    } else if answer.failed_with("notFound") {
        state.not_found(tenant, id, server, errand.asked);
    }
}

fn from_create(state: &State, errand: &mut Errand, answer: &Answer) {
    let exists = answer.returncode == ReturnCode::Success || answer.failed_with("idNotUnique");
    let made = Made {
        internal: answer.fields.text("internalMeetingID").and_then(InternalId::new),
        create_time_ms: answer.fields.number("createTime"),
    };
    match std::mem::replace(&mut errand.create, Create::Settled) {
        Create::Claimed(guard) if exists => guard.settle(made),
        Create::Claimed(guard) => guard.release(),
        Create::Repeated(_guard) if exists => {
            if let Some(id) = &errand.meeting {
                let now = state.now();
                state.cluster().repeated(errand.tenant, id, errand.server, made, now);
            }
        }
        Create::Repeated(_) | Create::Settled | Create::No => {}
    }
}
