//! What is written down about requests and how many are answered: from what was written to what is used.

use crate::config::check::Check;
use crate::config::file::traffic::{AbuseFile, AccessLogFile};
use crate::config::settings::traffic::{AbuseSettings, AccessLogSettings, LogTarget};

impl Check<'_> {
    pub(super) fn access_log(
        &mut self,
        file: AccessLogFile,
        env: AccessLogFile,
    ) -> AccessLogSettings {
        let to = match self.either(file.to, env.to).unwrap_or_default() {
            LogTarget::File(path) => LogTarget::File(self.source.path(&path)),
            other @ (LogTarget::Nowhere | LogTarget::Stdout) => other,
        };
        AccessLogSettings {
            to,
            format: self.either(file.format, env.format).unwrap_or_default(),
            addresses: self.either(file.addresses, env.addresses).unwrap_or_default(),
        }
    }

    pub(super) fn abuse(&mut self, file: AbuseFile, env: AbuseFile) -> AbuseSettings {
        let default = AbuseSettings::default();
        let burst_at = [&file.burst, &env.burst].into_iter().flatten().next();
        let burst_at = burst_at.map(|found| found.place.clone());
        let mut count = |file, env, default| self.either(file, env).unwrap_or(default);
        let requests = count(file.requests, env.requests, default.requests);
        let burst = count(file.burst, env.burst, default.burst.max(requests));
        let connections = count(file.connections, env.connections, default.connections);
        let failures = count(file.failures, env.failures, default.failures);
        if let Some(place) = burst_at
            && burst < requests
        {
            let what = format!("`burst` is less than `requests` ({requests}) of a single second");
            self.problems.add(&place, what, format!("{requests} or more"));
        }
        let mut time = |file, env, default| self.either(file, env).unwrap_or(default);
        AbuseSettings {
            header_time: time(file.header_time, env.header_time, default.header_time),
            body_time: time(file.body_time, env.body_time, default.body_time),
            idle_time: time(file.idle_time, env.idle_time, default.idle_time),
            exempt: self.either(file.exempt, env.exempt).unwrap_or_default(),
            secret_requests: self.either(file.secret_requests, env.secret_requests),
            security_log: self
                .either(file.security_log, env.security_log)
                .unwrap_or(default.security_log),
            requests,
            burst,
            connections,
            failures,
        }
    }
}
