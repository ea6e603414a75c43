//! The binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    octavo::cli::main()
}
