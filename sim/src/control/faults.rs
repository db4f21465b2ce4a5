//! Faults as scripts write them: `{"fault": "delay", "ms": 200, "call": "create", "times": 1}`.
//!
//! Refuses unknown fields, so that a typing error is not a fault that never happens.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::Sim;
use crate::control::Refused;
use crate::fault::Fault;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    Delay,
    Status,
    BadGateway,
    Hang,
    HangAfter,
    ResetBefore,
    ResetAfter,
    ResetMidBody,
    Html200,
    Empty200,
    WrongXml,
    TruncatedXml,
    LocaleNumbers,
    Trickle,
    Oversized,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    fault: Name,
    /// One call; absent: all.
    call: Option<String>,
    /// How often; absent: for ever.
    times: Option<u32>,
    /// For `delay` and `trickle`.
    #[serde(default)]
    ms: u64,
    /// For `status`.
    #[serde(default = "internal_server_error")]
    status: u16,
    /// For `oversized`.
    #[serde(default)]
    bytes: usize,
}

fn internal_server_error() -> u16 {
    500
}

/// Bodies of `oversized` stay below this, since they are made in memory.
const OVERSIZED_MAX: usize = 256 * 1024 * 1024;

/// Sets the fault that `body` describes.
pub(crate) fn set(sim: &Sim, body: &Value) -> Result<(), Refused> {
    let order = Order::deserialize(body).map_err(|error| Refused::bad(error.to_string()))?;
    let pause = Duration::from_millis(order.ms);
    let fault = match order.fault {
        Name::Delay => Fault::Delay(pause),
        Name::Status => Fault::Status(order.status),
        Name::BadGateway => Fault::BadGateway,
        Name::Hang => Fault::Hang,
        Name::HangAfter => Fault::HangAfter,
        Name::ResetBefore => Fault::ResetBefore,
        Name::ResetAfter => Fault::ResetAfter,
        Name::ResetMidBody => Fault::ResetMidBody,
        Name::Html200 => Fault::Html200,
        Name::Empty200 => Fault::Empty200,
        Name::WrongXml => Fault::WrongXml,
        Name::TruncatedXml => Fault::TruncatedXml,
        Name::LocaleNumbers => Fault::LocaleNumbers,
        Name::Trickle => Fault::Trickle(pause),
        Name::Oversized => Fault::Oversized(order.bytes.min(OVERSIZED_MAX)),
    };
    match order.times {
        Some(times) => sim.set_fault_times(fault, order.call.as_deref(), times),
        None => sim.set_fault(fault, order.call.as_deref()),
    }
    Ok(())
}
