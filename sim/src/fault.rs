//! What can go wrong on purpose, and for which calls.
//!
//! Only decides; `server` carries faults out. Refuses probabilities: a test says what fails and how often.

use std::time::Duration;

/// One way to misbehave. Unless said otherwise the call is *not* processed: nothing changes on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Waits, then goes on as usual. Adds to another fault on the same call.
    Delay(Duration),
    /// This status with an HTML page like the application's own error page.
    Status(u16),
    /// 502 with nginx's page.
    BadGateway,
    /// Never answers.
    Hang,
    /// Processes the call, then never answers.
    HangAfter,
    /// Resets the connection.
    ResetBefore,
    /// Processes the call, then resets the connection without an answer.
    ResetAfter,
    /// Processes the call, sends the head and half of the body, then resets the connection.
    ResetMidBody,
    /// 200 with an HTML page.
    Html200,
    /// 200 with an empty body.
    Empty200,
    /// 200 with well-formed XML that is no BBB answer.
    WrongXml,
    /// Processes the call and answers with the first half of the XML, complete by its `Content-Length`.
    TruncatedXml,
    /// Processes the call; counts of 1000 and more get a separator, as on old servers (`1,024`).
    LocaleNumbers,
    /// Processes the call and sends the body in 64 pieces with this pause between them.
    Trickle(Duration),
    /// 200 with XML padded to this many bytes.
    Oversized(usize),
}

impl Fault {
    fn is_delay(&self) -> bool {
        matches!(self, Self::Delay(_))
    }
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    /// `None` is every call.
    call: Option<String>,
    /// `None` is for ever.
    left: Option<u32>,
}

impl Rule {
    fn covers(&self, call: &str) -> bool {
        self.call.as_deref().is_none_or(|name| name == call)
    }
}

/// The faults that are set.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
}

/// What happens to one call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
}

impl Faults {
    /// Sets `fault` for `times` calls or for ever. One for ever replaces the former one for ever with
    /// the same scope (delays and the rest count apart); counted ones queue up and go first.
    pub(crate) fn set(&mut self, fault: Fault, call: Option<&str>, times: Option<u32>) {
        if times.is_none() {
            self.rules.retain(|rule| {
                rule.left.is_some()
                    || rule.call.as_deref() != call
                    || rule.fault.is_delay() != fault.is_delay()
            });
        }
        self.rules.push(Rule { fault, call: call.map(str::to_owned), left: times });
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// How many rules are set and not used up.
    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    /// What happens to this `call`; uses up counted rules.
    pub(crate) fn take(&mut self, call: &str) -> Plan {
        let delay = match self.pick(call, true) {
            Some(Fault::Delay(pause)) => pause,
            _ => Duration::ZERO,
        };
        Plan { delay, fault: self.pick(call, false) }
    }

    /// Counted rules before lasting ones, then those for this call before those for all.
    fn pick(&mut self, call: &str, delay: bool) -> Option<Fault> {
        let (index, _) = self
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.fault.is_delay() == delay && rule.covers(call))
            .min_by_key(|(index, rule)| (rule.left.is_none(), rule.call.is_none(), *index))?;
        let rule = &mut self.rules[index];
        let fault = rule.fault.clone();
        if let Some(left) = &mut rule.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.rules.remove(index);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_faults_go_first_and_are_used_up() {
        let mut faults = Faults::default();
        faults.set(Fault::Hang, None, None);
        faults.set(Fault::Empty200, Some("create"), Some(2));
        let seen: Vec<_> = (0..3).map(|_| faults.take("create").fault).collect();
        assert_eq!(seen, [Some(Fault::Empty200), Some(Fault::Empty200), Some(Fault::Hang)]);
        assert_eq!(faults.take("join").fault, Some(Fault::Hang));
    }

    #[test]
    fn a_call_of_its_own_beats_all_calls_and_the_last_set_counts() {
        let mut faults = Faults::default();
        faults.set(Fault::Status(500), Some("end"), None);
        faults.set(Fault::BadGateway, None, None);
        faults.set(Fault::Status(503), Some("end"), None);
        assert_eq!(faults.take("end").fault, Some(Fault::Status(503)));
        assert_eq!(faults.take("join").fault, Some(Fault::BadGateway));
        faults.clear();
        assert_eq!(faults.take("end"), Plan::default());
    }

    #[test]
    fn a_delay_adds_to_another_fault() {
        let mut faults = Faults::default();
        let pause = Duration::from_millis(5);
        faults.set(Fault::Delay(pause), None, None);
        faults.set(Fault::Html200, None, None);
        assert_eq!(faults.take("create"), Plan { delay: pause, fault: Some(Fault::Html200) });
    }
}
