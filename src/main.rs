//! The `tinyscale` binary.

fn main() -> std::process::ExitCode {
    tinyscale::cli::run()
}
