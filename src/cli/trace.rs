//! `tinyscale trace`: an access log becomes a trace for `tinyscale replay`.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::replay::log::{Counts, LogReader};
use crate::replay::trace::HEADER;

/// Which log, and where to.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The access log, as JSON or combined with queries; - for standard input
    #[arg(value_name = "LOGFILE")]
    log: PathBuf,
    /// Where the trace goes; default: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A meeting of which nothing is heard for so many minutes is over: logs do not tell who left
    #[arg(long, value_name = "MINUTES", default_value_t = 120)]
    quiet: u32,
}

/// Longer lines are none of ours; their rest is passed over.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Writes the trace line by line; what came of it, in a sentence.
pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let shown = args.log.display();
    let unreadable = || format!("the log {shown} cannot be read");
    let mut input: Box<dyn BufRead> = if args.log == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(&args.log).with_context(unreadable)?))
    };
    let mut output: Box<dyn Write> = match &args.out {
        Some(path) => {
            let file = File::create(path)
                .with_context(|| format!("{} cannot be written", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    let mut reader = LogReader::new(u64::from(args.quiet.max(1)) * 60_000);
    let (mut bytes, mut rows) = (Vec::new(), format!("{HEADER}\n"));
    loop {
        output.write_all(rows.as_bytes()).context("the trace cannot be written")?;
        rows.clear();
        bytes.clear();
        let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes);
        if read.with_context(unreadable)? == 0 {
            break;
        }
        reader.line(&String::from_utf8_lossy(&bytes), &mut rows);
    }
    output.flush().context("the trace cannot be written")?;
    let Counts { lines, foreign, rows, faded } = reader.counts();
    Ok(format!(
        "{lines} lines, {foreign} of them about no meeting; {rows} rows; {faded} meetings ended because nothing \
         was heard of them any more"
    ))
}
