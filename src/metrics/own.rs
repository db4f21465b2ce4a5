//! Our own names (`operators.md` 4.5 b), as far as there is something to tell: what does not exist is left out
//! instead of being told as 0.

use crate::cluster::health::Health;
use crate::cluster::server::Mode;
use crate::metrics::polls::{BUCKETS_S, Polls};
use crate::metrics::snapshot::Server;
use crate::metrics::text::Text;

/// A number of a server, if there is one.
type Value = fn(&Server) -> Option<f64>;

const GAUGES: [(&str, &str, Value); 9] = [
    ("tinyscale_server_up", "1 unless the server is down.", |s| {
        Some(f64::from(u8::from(s.health != Health::Down)))
    }),
    ("tinyscale_server_load", "Cost of its meetings, expected people included, by weight.", |s| {
        Some(s.load)
    }),
    ("tinyscale_server_reserved_seats", "People who are expected and not there yet.", |s| {
        Some(s.reserved_seats)
    }),
    ("tinyscale_server_weight", "How much it carries relative to the others.", |s| Some(s.weight)),
    ("tinyscale_server_meetings", "Meetings.", |s| Some(s.rooms.len() as f64)),
    ("tinyscale_server_participants", "People in meetings.", |s| {
        Some(s.sum(|room| room.people) as f64)
    }),
    ("tinyscale_server_voice", "People with a microphone.", |s| {
        Some(s.sum(|room| room.voice) as f64)
    }),
    ("tinyscale_server_video", "Cameras.", |s| Some(s.sum(|room| room.cameras) as f64)),
    ("tinyscale_server_largest_meeting", "People in the largest meeting.", |s| {
        Some(f64::from(s.largest()))
    }),
];

/// The text; `now_s` is the time in seconds since 1970.
pub fn write(servers: &[Server], polls: &Polls, in_flight: usize, now_s: u64) -> String {
    let mut text = Text::default();
    text.family("tinyscale_build_info", "gauge", "The program.");
    text.sample("tinyscale_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    text.family("tinyscale_requests_in_flight", "gauge", "Requests that are being answered.");
    text.sample("tinyscale_requests_in_flight", &[], in_flight as f64);
    text.family("tinyscale_servers_usable", "gauge", "Servers that may take a new meeting.");
    let usable = servers.iter().filter(|server| server.is_usable()).count();
    text.sample("tinyscale_servers_usable", &[], usable as f64);
    for (name, help, value) in GAUGES {
        text.family(name, "gauge", help);
        for server in servers {
            if let Some(value) = value(server) {
                text.sample(name, &[("server", &server.name)], value);
            }
        }
    }
    let name = "tinyscale_server_mode";
    text.family(name, "gauge", "1 for the mode that operators have set.");
    for server in servers {
        for mode in Mode::ALL {
            let labels = [("server", server.name.as_str()), ("mode", mode.name())];
            text.sample(name, &labels, f64::from(u8::from(server.mode == mode)));
        }
    }
    let name = "tinyscale_server_last_poll_success_timestamp_seconds";
    text.family(name, "gauge", "When its newest list of meetings was asked for.");
    for server in servers {
        if let Some(age) = server.heard {
            let at = now_s as f64 - age.as_secs_f64();
            text.sample(name, &[("server", &server.name)], at);
        }
    }
    durations(&mut text, servers, polls);
    text.finish()
}

fn durations(text: &mut Text, servers: &[Server], polls: &Polls) {
    let name = "tinyscale_server_poll_duration_seconds";
    text.family(name, "histogram", "How long good answers to getMeetings took.");
    for server in servers {
        let (latency, label) = (polls.of(&server.name), ("server", server.name.as_str()));
        let bucket = format!("{name}_bucket");
        for (bound, within) in BUCKETS_S.iter().zip(latency.within) {
            text.sample(&bucket, &[label, ("le", bound)], within as f64);
        }
        text.sample(&bucket, &[label, ("le", "+Inf")], latency.count as f64);
        text.sample(&format!("{name}_sum"), &[label], latency.sum.as_secs_f64());
        text.sample(&format!("{name}_count"), &[label], latency.count as f64);
    }
}
