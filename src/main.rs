//! The binary.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Chosen by measurement: `docs/decisions/0013-memory-and-the-allocator.md`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    octavo::cli::main()
}
