//! Prometheus' text format, version 0.0.4, as its Python client writes it: whole numbers with `.0`.

use std::fmt::Write;

/// A text that grows by families of metrics.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

/// Names and values of labels.
pub(crate) type Labels<'l> = &'l [(&'l str, &'l str)];

impl Text {
    /// Begins a family.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One value of the family that was begun.
    pub(crate) fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        self.0.push_str(name);
        for (i, (label, value)) in labels.iter().enumerate() {
            self.0.push(if i == 0 { '{' } else { ',' });
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.0, "{label}=\"{value}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value:?}");
    }

    /// All of it.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_quotes() {
        let mut text = Text::default();
        text.family("a", "gauge", "Help.");
        text.sample("a", &[], 3.0);
        text.sample("a", &[("x", "\"\n\\"), ("y", "z")], 0.25);
        let expected = "# HELP a Help.\n# TYPE a gauge\na 3.0\na{x=\"\\\"\\n\\\\\",y=\"z\"} 0.25\n";
        assert_eq!(text.finish(), expected);
    }
}
