//! argv in, exit code out; all else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    diskless::cli::main(std::env::args_os())
}
