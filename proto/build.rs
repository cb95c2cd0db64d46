//! Compiles the feed's protocol. `protox` stands in for `protoc`, so that nothing but Rust is needed.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    let file = root.join("scimesh/feed/v1/feed.proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let grpc = std::env::var_os("CARGO_FEATURE_GRPC").is_some();
    let descriptors = protox::compile([&file], [root])?;
    tonic_prost_build::configure()
        .build_client(grpc)
        // The feeder has its own, which writes each message once for all streams.
        .build_server(false)
        .build_transport(grpc)
        .codec_path("crate::codec::SmallBuffers")
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
