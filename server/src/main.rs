//! The program: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    disklessd::cli::main(std::env::args_os())
}
