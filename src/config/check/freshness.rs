//! `freshness`: what is used, call by call.

use crate::config::check::Check;
use crate::config::file::freshness::FreshnessFile;
use crate::config::settings::Freshness;

impl Check<'_> {
    pub(super) fn freshness(&mut self, file: FreshnessFile, env: FreshnessFile) -> Freshness {
        let usual = Freshness::default();
        let info = self.either(file.meeting_info, env.meeting_info);
        let running = self.either(file.meeting_running, env.meeting_running);
        Freshness {
            meeting_info: info.unwrap_or(usual.meeting_info),
            meeting_running: running.unwrap_or(usual.meeting_running),
        }
    }
}
