//! The names and the shape of greenstatic's bigbluebutton-exporter (`operators.md` 4.1), so that its dashboards
//! work as they are: one instance per server. What getMeetings does not tell is left out.

use crate::cluster::health::Health;
use crate::cluster::placement::cost::Crowd;
use crate::metrics::polls::{BUCKETS_S, Latency, Polls};
use crate::metrics::snapshot::Server;
use crate::metrics::text::Text;

const ROOM: [u32; 14] = [0, 1, 5, 15, 30, 60, 90, 120, 150, 200, 250, 300, 400, 500];
const ROOM_MEDIA: [u32; 8] = [0, 1, 5, 15, 30, 60, 90, 120];

/// A sum over the meetings of a server.
type Sum = fn(&Server) -> f64;
/// A count of people in one meeting.
type Count = fn(&Crowd) -> u32;

const GAUGES: [(&str, &str, Sum); 6] = [
    ("bbb_meetings", "Number of BigBlueButton meetings", |s| s.rooms.len() as f64),
    ("bbb_meetings_participants", "Total number of participants in all meetings", |s| {
        s.sum(|room| room.people) as f64
    }),
    ("bbb_meetings_participants_max", "Participants of the largest meeting", |s| {
        f64::from(s.largest())
    }),
    ("bbb_meetings_listeners", "Total number of listeners in all meetings", |s| {
        s.sum(|room| room.listeners) as f64
    }),
    ("bbb_meetings_voice_participants", "Total number of voice participants", |s| {
        s.sum(|room| room.voice) as f64
    }),
    ("bbb_meetings_video_participants", "Total number of video participants", |s| {
        s.sum(|room| room.cameras) as f64
    }),
];

const ROOMS: [(&str, &[u32], Count); 4] = [
    ("bbb_room_participants", &ROOM, |room| room.people),
    ("bbb_room_listeners", &ROOM, |room| room.listeners),
    ("bbb_room_voice_participants", &ROOM_MEDIA, |room| room.voice),
    ("bbb_room_video_participants", &ROOM_MEDIA, |room| room.cameras),
];

/// Whether the scraper or a label tells the servers apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instance {
    /// One server on a path of its own, and no label.
    OfScraper,
    /// All servers in one text, each with a label `instance`.
    Label,
}

/// The text for `servers`.
pub fn write(servers: &[&Server], polls: &Polls, instance: Instance) -> String {
    let mut text = Text::default();
    let mut each = |name: &str, kind: &str, help: &str, of: &mut dyn FnMut(&mut Lines<'_>)| {
        text.family(name, kind, help);
        for server in servers {
            of(&mut Lines { text: &mut text, server, instance });
        }
    };
    // A server that is down has no numbers: what was last known is no news.
    for (name, help, of) in GAUGES {
        each(name, "gauge", help, &mut |lines| {
            if lines.server.health != Health::Down {
                lines.put(name, &[], of(lines.server));
            }
        });
    }
    for (name, bounds, of) in ROOMS {
        let help = "Number of rooms by their size";
        each(name, "histogram", help, &mut |lines| lines.buckets(name, bounds, of));
        let count = format!("{name}_gcount");
        each(&count, "gauge", help, &mut |lines| {
            lines.put(&count, &[], lines.server.rooms.len() as f64);
        });
        let sum = format!("{name}_gsum");
        each(&sum, "gauge", help, &mut |lines| {
            lines.put(&sum, &[], lines.server.sum(of) as f64);
        });
    }
    each("bbb_api_latency", "histogram", "BigBlueButton API call latency", &mut |lines| {
        let latency = polls.of(&lines.server.name);
        lines.latency(&latency);
    });
    each("bbb_api_up", "gauge", "1 if BigBlueButton API is responding 0 otherwise", &mut |lines| {
        let up = lines.server.health != Health::Down;
        lines.put("bbb_api_up", &[], f64::from(u8::from(up)));
    });
    let version = [("version", concat!("tinyscale-", env!("CARGO_PKG_VERSION")))];
    each("bbb_exporter", "gauge", "BigBlueButton exporter version", &mut |lines| {
        lines.put("bbb_exporter", &version, 1.0);
    });
    text.finish()
}

/// The lines of one server within a family.
struct Lines<'l> {
    text: &'l mut Text,
    server: &'l Server,
    instance: Instance,
}

impl Lines<'_> {
    fn put(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut all = Vec::with_capacity(labels.len() + 1);
        if self.instance == Instance::Label {
            all.push(("instance", self.server.name.as_str()));
        }
        all.extend_from_slice(labels);
        self.text.sample(name, &all, value);
    }

    fn buckets(&mut self, name: &str, bounds: &[u32], of: Count) {
        let name = format!("{name}_bucket");
        for bound in bounds {
            let within = self.server.rooms.iter().filter(|room| of(room) <= *bound).count();
            self.put(&name, &[("le", &bound.to_string())], within as f64);
        }
        self.put(&name, &[("le", "+Inf")], self.server.rooms.len() as f64);
    }

    fn latency(&mut self, latency: &Latency) {
        let call = [("endpoint", "getMeetings"), ("parameters", "")];
        for (bound, within) in BUCKETS_S.iter().zip(latency.within) {
            let labels = [call[0], call[1], ("le", *bound)];
            self.put("bbb_api_latency_bucket", &labels, within as f64);
        }
        let all = latency.count as f64;
        self.put("bbb_api_latency_bucket", &[call[0], call[1], ("le", "+Inf")], all);
        self.put("bbb_api_latency_count", &call, all);
        self.put("bbb_api_latency_sum", &call, latency.sum.as_secs_f64());
    }
}
