//! `scimesh`: see `scimesh --help`.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

// The system's allocator keeps what large bodies took, thread by thread, for good; this one gives it back within seconds.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    scimesh_feeder::cli::main()
}
