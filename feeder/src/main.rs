//! `scimesh`: see `scimesh --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    scimesh_feeder::cli::main()
}
