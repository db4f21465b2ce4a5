//! The `tinyscale` binary.

/// Answers are many small allocations: glibc's takes a sixth more CPU per request.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tinyscale::cli::run()
}
