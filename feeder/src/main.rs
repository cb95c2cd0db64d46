//! scimesh
fn main() {}
