//! The access log of the process: started with the gateway, opened anew by USR1.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::edge::access_log::writer::AccessLog;

impl App {
    /// The log, started by the first who asks for it.
    pub(crate) fn access_log(&self) -> anyhow::Result<Option<AccessLog>> {
        if let Some(log) = self.access_log.get() {
            return Ok(log.clone());
        }
        let log = AccessLog::start(&self.settings().access_log)?;
        Ok(self.access_log.get_or_init(|| log).clone())
    }

    /// From now on USR1, which would end the process, opens the log anew.
    pub(crate) fn reopen_on_usr1(&self) -> anyhow::Result<()> {
        let mut usr1 = signal(SignalKind::user_defined1()).context("cannot listen to signals")?;
        let app = self.clone();
        tokio::spawn(async move {
            while usr1.recv().await.is_some() {
                if let Some(Some(log)) = app.access_log.get() {
                    log.reopen();
                }
            }
        });
        Ok(())
    }

    /// Writes the lines that are left, before the process ends.
    pub(crate) fn flush_access_log(&self) {
        if let Some(Some(log)) = self.access_log.get() {
            log.flush();
        }
    }
}
