#!/bin/sh
# Makes this machine ready: checks for the tools that only its owner can install, adds the Rust targets,
# and puts the pinned Envoy into .venv. Run again, it changes nothing. Called by `make setup`.
set -eu
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }
die() {
    printf '\n%s\n' "setup: $1" >&2
    shift
    for line; do printf '       %s\n' "$line" >&2; done
    exit 1
}

command -v cargo >/dev/null 2>&1 ||
    die 'cargo is missing.' 'Install Rust: https://rustup.rs, then open a new shell (or: . "$HOME/.cargo/env").'
command -v cc >/dev/null 2>&1 ||
    die 'a C compiler (cc) is missing; SQLite is built from source.' 'Debian, Ubuntu: apt-get install build-essential'
command -v python3 >/dev/null 2>&1 ||
    die 'python3 is missing; the pinned Envoy comes from the Python package index.' 'Debian, Ubuntu: apt-get install python3 python3-venv'

# The toolchain that rust-toolchain.toml names, and its targets.
if command -v rustup >/dev/null 2>&1; then
    if ! rustc --version >/dev/null 2>&1; then
        say 'Installing the Rust toolchain that rust-toolchain.toml names'
        rustup toolchain install || die 'rustup could not install the toolchain that rust-toolchain.toml names.' \
            'Is https://static.rust-lang.org reachable? A mirror: RUSTUP_DIST_SERVER.'
    fi
fi
for target in wasm32-wasip1 wasm32-unknown-unknown; do
    libraries=$(rustc --print target-libdir --target "$target" 2>/dev/null || true)
    [ -n "$libraries" ] && [ -d "$libraries" ] && continue
    command -v rustup >/dev/null 2>&1 ||
        die "the Rust target $target is missing, and rustup is not there to add it." \
            'Install Rust by rustup (https://rustup.rs), or the package with that target of your distribution.'
    say "Adding the Rust target $target"
    rustup target add "$target" || die "rustup could not add the target $target." \
        'Is https://static.rust-lang.org reachable? A mirror: RUSTUP_DIST_SERVER.'
done

# Only what is built here and in wasm: the lock file also names what other systems need.
host=$(rustc --version --verbose | sed -n 's/^host: //p')
cargo fetch --locked --target "$host" --target wasm32-wasip1 --target wasm32-unknown-unknown ||
    die 'cargo could not fetch the crates that Cargo.lock names (see above).' \
        'Is the crates registry reachable? Behind a proxy, set HTTPS_PROXY; a mirror, or a directory made by' \
        '`cargo vendor` on another machine: [source] in .cargo/config.toml, here or in a directory above.'

# The pinned Envoy, and the conformance suites, which only `make test` needs and an older Python can't run. A virtual
# environment does not survive being moved, so ask what is in it.
suites=
if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    suites=tests/suites.txt
else
    say "$(python3 --version) is older than 3.11: without the SCIM conformance suites, so \`make test\` will fail at them"
fi
pinned=$(cat tests/requirements.txt ${suites:+"$suites"})
works() {
    .venv/bin/envoy --version >/dev/null && { [ -z "$suites" ] || .venv/bin/scim-sanity --help >/dev/null; }
}
if [ "$(cat .venv/installed 2>/dev/null || true)" != "$pinned" ] || ! works 2>/dev/null; then
    say 'Installing the pinned Envoy and the SCIM conformance suites into .venv (about 50 MB, once)'
    rm -rf .venv
    python3 -m venv .venv || die 'python3 can make no virtual environment.' 'Debian, Ubuntu: apt-get install python3-venv'
    .venv/bin/python -m pip install --disable-pip-version-check --quiet --retries 2 \
        -r tests/requirements.txt ${suites:+-r "$suites"} ||
        die 'pip could not install what tests/requirements.txt and tests/suites.txt name (see above).' \
            'Is the Python package index reachable? Behind a proxy, set HTTPS_PROXY; a mirror: PIP_INDEX_URL;' \
            "a directory with the wheels: PIP_FIND_LINKS. Envoy's is for Linux (glibc 2.31 or later), x86-64 or arm64."
    works || die 'what was installed does not run (see above).' 'Envoy needs Linux with glibc 2.31 or later.'
    printf '%s\n' "$pinned" >.venv/installed
fi
