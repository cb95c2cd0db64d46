#!/bin/sh
# Runs the engine's and the protocol's own tests as wasm, in Node: what Envoy runs is wasm, and so will a browser.
# Installs the runner, of the very version that Cargo.lock names for wasm-bindgen, into .tools if it is not there.
set -eu
cd "$(dirname "$0")/.."

version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p;}' Cargo.lock)
runner="$PWD/.tools/bin/wasm-bindgen-test-runner"

if [ "$("$runner" --version 2>/dev/null)" != "wasm-bindgen-test-runner $version" ]; then
    echo "wasm-tests: installing wasm-bindgen-cli $version into .tools (some minutes, once)"
    # Without --locked: its own lock file pins crates that a registry mirror may lack. It gets a target directory of its own,
    # as it can share nothing with the workspace's.
    CARGO_TARGET_DIR="$PWD/.tools/target" cargo install --quiet --root .tools --force --version "$version" wasm-bindgen-cli || {
        echo "wasm-tests: cargo could not install wasm-bindgen-cli $version (see above). Is the crates registry reachable?" >&2
        exit 1
    }
    rm -rf .tools/target
fi

export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER="$runner"
packages="-p scimesh-engine -p scimesh-proto --lib --target wasm32-unknown-unknown"

# A module that forgets to import wasm_bindgen_test has no tests in wasm, and nothing would say so.
# Natively it is the whole workspace that is asked, as it is built already; only these two packages are listened to.
names() {
    cargo test --locked --no-run "$@" || exit
    cargo test --locked "$@" -- --list 2>&1 | awk '
        / Running / { ours = /scimesh_(engine|proto)-/ }
        ours && sub(/: test$/, "")' | sort
}
natively=$(names --workspace --lib)
# shellcheck disable=SC2086
in_wasm=$(names $packages)
if [ "$natively" != "$in_wasm" ]; then
    echo "wasm-tests: these tests do not run in both worlds:" >&2
    printf '%s\n%s\n' "$natively" "$in_wasm" | sort | uniq -u >&2
    exit 1
fi

# shellcheck disable=SC2086
exec cargo test --locked $packages "$@"
