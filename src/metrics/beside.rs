//! What the process tells beside the numbers of its servers: drains, doubles, certificates, the last reload.

use crate::metrics::text::Text;

/// All of it, at one moment. What does not exist is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// Servers that are being drained.
    pub drains: Vec<Draining>,
    /// For each server how many meetings are alive on it that another one has, too.
    pub doubles: Vec<(String, usize)>,
    /// The first name of each certificate in use, and until when it is valid, in seconds since 1970.
    pub certificates: Vec<(String, u64)>,
    /// When a reload was last asked for, in seconds since 1970, and whether it was taken.
    pub reload: Option<(u64, Taken)>,
}

/// Whether a configuration was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Whole.
    Yes,
    /// Not at all.
    No,
}

/// A server that is being drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draining {
    /// What it is called.
    pub server: String,
    /// How many meetings are left.
    pub meetings: usize,
    /// When it is to be empty, in seconds since 1970.
    pub until_unix_s: Option<u64>,
}

impl Beside {
    pub(super) fn write(&self, text: &mut Text) {
        let name = "tinyscale_server_drain_remaining_meetings";
        text.family(name, "gauge", "Meetings left on a server that is being drained.");
        for drain in &self.drains {
            text.sample(name, &[("server", &drain.server)], drain.meetings as f64);
        }
        let name = "tinyscale_server_drain_deadline_timestamp_seconds";
        text.family(name, "gauge", "When a server that is being drained is to be empty.");
        for drain in &self.drains {
            if let Some(until) = drain.until_unix_s {
                text.sample(name, &[("server", &drain.server)], until as f64);
            }
        }
        let name = "tinyscale_server_doubles";
        text.family(name, "gauge", "Meetings alive on a server that another one has, too.");
        for (server, count) in &self.doubles {
            text.sample(name, &[("server", server)], *count as f64);
        }
        let name = "tinyscale_certificate_expiry_timestamp_seconds";
        text.family(name, "gauge", "Until when a certificate in use is valid.");
        for (label, until) in &self.certificates {
            text.sample(name, &[("name", label)], *until as f64);
        }
        let Some((at, taken)) = self.reload else { return };
        let name = "tinyscale_config_last_reload_successful";
        text.family(name, "gauge", "1 if the configuration of the last reload was taken.");
        text.sample(name, &[], f64::from(u8::from(taken == Taken::Yes)));
        let name = "tinyscale_config_last_reload_timestamp_seconds";
        text.family(name, "gauge", "When a reload was last asked for.");
        text.sample(name, &[], at as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_that_was_not_taken_is_a_zero_and_none_is_nothing() {
        let written = |reload| {
            let mut text = Text::default();
            Beside { reload, ..Beside::default() }.write(&mut text);
            text.finish()
        };
        assert!(!written(None).contains("reload"));
        let no = written(Some((17, Taken::No)));
        assert!(no.contains("tinyscale_config_last_reload_successful 0.0\n"), "{no}");
        assert!(no.contains("tinyscale_config_last_reload_timestamp_seconds 17.0\n"), "{no}");
        assert!(written(Some((17, Taken::Yes))).contains("reload_successful 1.0\n"));
    }
}
