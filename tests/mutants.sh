#!/bin/sh
# Changes the code that compares, matches and decides in one place at a time (.cargo/mutants.toml says where), and fails if the tests of its crate notice
# one of the changes not. Works on a copy. Installs cargo-mutants, of the version below, into .tools if it is not there. Arguments go to it, such as
# `--re decide.rs` for one file (`--file` would only add to the files that are configured); what survived is listed below the target directory.
set -eu
cd "$(dirname "$0")/.."

version=27.1.0
tool="$PWD/.tools/bin/cargo-mutants"
target="${CARGO_TARGET_DIR:-$PWD/target}"

if [ "$("$tool" mutants --version 2>/dev/null)" != "cargo-mutants $version" ]; then
    echo "mutants: installing cargo-mutants $version into .tools (some minutes, once)"
    CARGO_TARGET_DIR="$PWD/.tools/target" cargo install --quiet --root .tools --force --version "$version" cargo-mutants || {
        echo "mutants: cargo could not install cargo-mutants $version (see above). Is the crates registry reachable?" >&2
        exit 1
    }
    rm -rf .tools/target
fi

# The copy builds below itself: what cargo made of a change has the same name as what it made of the original.
unset CARGO_TARGET_DIR
# What noticed one change by luck must not be handed to the next: then a test would seem surer than it is.
export PROPTEST_DISABLE_FAILURE_PERSISTENCE=1
# Debugging information would only take time to link.
CARGO_PROFILE_DEV_DEBUG=0 exec "$tool" mutants --package scimesh-engine --package scimesh-proto --no-shuffle --output "$target" "$@"
