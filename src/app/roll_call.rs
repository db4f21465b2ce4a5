//! The first question to every server, before anything is accepted: shows the operator what is wrong, and
//! fills the table of meetings, so that a restart loses none.

use std::fmt;

use crate::app::App;
use crate::bbb::meetings::NoList;
use crate::bbb::xml::{self, Wanted};
use crate::cluster::server::{ServerId, ServerSpec};
use crate::services::probe::{self, NoProbe};
use crate::services::resolve;

/// One server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The server's name.
    pub name: String,
    /// Where its API lives.
    pub url: String,
    /// Its number of meetings, or why it did not tell.
    pub meetings: Result<usize, NoProbe>,
    /// BBB's version, if the server shows it.
    pub version: Option<String>,
}

impl Presence {
    /// Whether the server's secret is wrong: the only finding that is certainly a mistake in the
    /// configuration.
    pub fn has_wrong_secret(&self) -> bool {
        self.meetings == Err(NoProbe::NoList(NoList::WrongSecret))
    }
}

/// All answers, printed as a table.
pub struct RollCall(pub Vec<Presence>);

impl App {
    /// Resolves every name and asks every server once, all at the same time.
    pub async fn roll_call(&self) -> anyhow::Result<RollCall> {
        let client = self.client();
        let hosts = resolve::hosts(&self.state);
        futures::future::join_all(hosts.iter().map(|host| self.lookup.once(&self.addresses, host)))
            .await;
        let servers = self.state.servers();
        let asking = servers.iter().map(|(id, spec)| self.ask(&client, *id, spec));
        Ok(RollCall(futures::future::join_all(asking).await))
    }

    async fn ask(
        &self,
        client: &crate::client::Client,
        id: ServerId,
        spec: &ServerSpec,
    ) -> Presence {
        const WANTED: Wanted = Wanted { fields: &["bbbVersion"], list: None, item_fields: &[] };
        let timeout = self.settings().probe.timeout;
        let (meetings, index) = tokio::join!(
            probe::once(&self.state, client, id, timeout),
            client.call(id, "", "", timeout)
        );
        let version =
            index.ok().and_then(|body| xml::read(&body, &WANTED).ok()).and_then(|answer| {
                answer
                    .fields
                    .text("bbbVersion")
                    .filter(|version| !version.is_empty())
                    .map(str::to_owned)
            });
        let (name, url) = (spec.name.to_string(), spec.url.to_string());
        Presence { name, url, meetings, version }
    }
}

impl fmt::Display for RollCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["SERVER", "URL", "STATE", "BBB", "MEETINGS"].map(str::to_owned);
        let rows = self.0.iter().map(|presence| {
            let state = match &presence.meetings {
                Ok(_) => "ok".to_owned(),
                Err(NoProbe::NoList(NoList::WrongSecret)) => "wrong secret".to_owned(),
                Err(why) => format!("unreachable: {why}"),
            };
            let version = presence.version.clone().unwrap_or_else(|| "-".to_owned());
            let meetings =
                presence.meetings.as_ref().map_or_else(|_| "-".to_owned(), usize::to_string);
            [presence.name.clone(), presence.url.clone(), state, version, meetings]
        });
        let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        for row in &rows {
            let [name, url, state, version, meetings] = row;
            writeln!(
                f,
                "{name:0$}  {url:1$}  {state:2$}  {version:3$}  {meetings}",
                width(0),
                width(1),
                width(2),
                width(3)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Failure;

    #[test]
    fn the_table_lines_up() {
        let presence = |name: &str, meetings, version: Option<&str>| Presence {
            name: name.to_owned(),
            url: format!("http://{name}/bigbluebutton/api"),
            meetings,
            version: version.map(str::to_owned),
        };
        let table = RollCall(vec![
            presence("bbb1", Ok(12), Some("3.0.12")),
            presence("b2", Err(NoProbe::NoList(NoList::WrongSecret)), None),
            presence("bbb3", Err(NoProbe::Unreachable(Failure::Timeout)), None),
        ]);
        insta::assert_snapshot!(table.to_string(), @r"
        SERVER  URL                            STATE                           BBB     MEETINGS
        bbb1    http://bbb1/bigbluebutton/api  ok                              3.0.12  12
        b2      http://b2/bigbluebutton/api    wrong secret                    -       -
        bbb3    http://bbb3/bigbluebutton/api  unreachable: no answer in time  -       -
        ");
    }
}
