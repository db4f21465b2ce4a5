//! Lines over time as SVG: no script, no font, nothing fetched.

use std::fmt::Write;

use crate::replay::world::LoadAt;

const WIDTH: f64 = 960.0;
const PANEL: f64 = 260.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 30.0;
/// More points than this are not seen.
const STEPS: usize = 600;
/// Times written under a chart.
const TICKS_MAX: u32 = 10;

/// People per server over time: one panel per title, all with the same axes.
pub fn people_over_time(panels: &[(&str, &[LoadAt])], servers: usize) -> String {
    let loads = || panels.iter().flat_map(|(_, load)| load.iter());
    let from = loads().map(|load| load.at_s).fold(f64::INFINITY, f64::min);
    let to = loads().map(|load| load.at_s).fold(f64::NEG_INFINITY, f64::max);
    let most = loads().map(|load| load.people).max().unwrap_or(0).max(1);
    let axes = Axes { from, span: (to - from).max(1.0), top: nice(f64::from(most)) };
    let height = PANEL * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" \
         height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (number, (title, load)) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate(0 {})\">", PANEL * number as f64);
        axes.draw(&mut svg, title);
        draw_lines(&mut svg, &axes, load, servers);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

struct Axes {
    from: f64,
    span: f64,
    top: f64,
}

impl Axes {
    fn x(&self, part: f64) -> f64 {
        LEFT + part * (WIDTH - LEFT - 20.0)
    }

    fn y(&self, people: f64) -> f64 {
        PANEL - BOTTOM - people / self.top * (PANEL - BOTTOM - TOP)
    }

    fn draw(&self, svg: &mut String, title: &str) {
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">{}</text>",
            escaped(title)
        );
        for step in 0..=4 {
            let people = self.top * f64::from(step) / 4.0;
            let y = self.y(people);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{people:.0}</text>",
                self.x(1.0),
                LEFT - 6.0,
                y + 4.0
            );
        }
        let step = tick(self.span);
        let first = (self.from / step).ceil() * step;
        // No more than fit, whatever the axes are: an empty chart has none.
        for at in (0..TICKS_MAX).map(|n| first + f64::from(n) * step) {
            if at > self.from + self.span || !at.is_finite() {
                break;
            }
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                self.x((at - self.from) / self.span),
                PANEL - 10.0,
                clock(at, self.span)
            );
        }
    }
}

fn draw_lines(svg: &mut String, axes: &Axes, load: &[LoadAt], servers: usize) {
    let series = sampled(axes, load, servers);
    let peak = |line: &Vec<u32>| line.iter().copied().max().unwrap_or(0);
    let hottest = (0..series.len()).max_by_key(|server| series.get(*server).map(peak));
    // The hottest last, over the others.
    let order = (0..series.len()).filter(|server| Some(*server) != hottest).chain(hottest);
    for server in order {
        let Some(line) = series.get(server) else { continue };
        let (colour, width) =
            if Some(server) == hottest { ("#c0392b", 1.8) } else { ("#2c6fab", 0.7) };
        let mut path = String::new();
        for (step, people) in line.iter().enumerate() {
            let x = axes.x(step as f64 / STEPS as f64);
            let letter = if step == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{x:.1} {:.1}", axes.y(f64::from(*people)));
        }
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        );
    }
}

/// For each server the most people in each step.
fn sampled(axes: &Axes, load: &[LoadAt], servers: usize) -> Vec<Vec<u32>> {
    let mut series = vec![vec![0; STEPS + 1]; servers];
    let mut last = vec![(0, 0); servers];
    for at in load {
        let step = ((at.at_s - axes.from) / axes.span * STEPS as f64) as usize;
        let (Some(line), Some((before, people))) =
            (series.get_mut(at.server), last.get_mut(at.server))
        else {
            continue;
        };
        line.iter_mut().take(step).skip(*before + 1).for_each(|cell| *cell = *people);
        if let Some(cell) = line.get_mut(step) {
            // A step begins with those who were there.
            *cell = (*cell).max(at.people).max(if step > *before { *people } else { 0 });
        }
        (*before, *people) = (step, at.people);
    }
    for (line, (before, people)) in series.iter_mut().zip(last) {
        line.iter_mut().skip(before + 1).for_each(|cell| *cell = people);
    }
    series
}

/// A time that people count in, so that not too many fit in `span`; both in seconds.
fn tick(span: f64) -> f64 {
    const STEPS_S: [f64; 12] = [
        1.0, 10.0, 60.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 43_200.0,
        86_400.0,
    ];
    let whole_days = (span / 86_400.0 / 8.0).ceil() * 86_400.0;
    STEPS_S.into_iter().find(|step| span / step <= 9.0).unwrap_or(whole_days)
}

/// The next number above that is easy to divide by four.
fn nice(most: f64) -> f64 {
    let scale = 10_f64.powf(most.log10().floor());
    [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * scale)
        .find(|top| *top >= most)
        .unwrap_or(most)
}

/// The time of day, with days where there are several.
fn clock(seconds: f64, span: f64) -> String {
    let (days, minutes) = ((seconds / 86_400.0).floor(), (seconds % 86_400.0 / 60.0).floor());
    let (hour, minute) = ((minutes / 60.0).floor(), minutes % 60.0);
    if span > 86_400.0 {
        format!("{days}d {hour:02.0}:{minute:02.0}")
    } else {
        format!("{hour:02.0}:{minute:02.0}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_until_it_changes() {
        let at = |at_s, people| LoadAt { at_s, server: 0, people, meetings: 0 };
        let axes = Axes { from: 0.0, span: STEPS as f64, top: 10.0 };
        let line = &sampled(&axes, &[at(0.0, 0), at(2.0, 5), at(2.5, 3), at(4.0, 1)], 1)[0];
        assert_eq!(line[..7], [0, 0, 5, 3, 3, 1, 1]);
        assert_eq!(line.last(), Some(&1));
    }

    #[test]
    fn axes_are_easy_to_read() {
        assert_eq!([87.0, 121.0, 199.0, 1.0].map(nice), [100.0, 160.0, 200.0, 1.0]);
        assert_eq!(
            [5.0, 8_000.0, 86_400.0, 1e8].map(tick),
            [1.0, 900.0, 14_400.0, 145.0 * 86_400.0]
        );
        assert_eq!(clock(28_800.0, 3_600.0), "08:00");
        assert_eq!(clock(90_060.0, 200_000.0), "1d 01:01");
    }

    #[test]
    fn empty_and_strange_charts_are_still_svg() {
        assert!(people_over_time(&[("a < b", &[])], 0).contains("a &lt; b"));
    }
}
