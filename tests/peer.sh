#!/bin/sh
# Puts the SCIM server that the benchmark is held against, pinned, into .venv-peer. Run again, it changes nothing.
# Called by `make bench`.
set -eu
cd "$(dirname "$0")/.."

die() {
    printf 'bench: %s\n' "$@" >&2
    exit 1
}

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    die 'python3 is missing, or older than 3.11, which the SCIM server that this is held against wants.'
pinned=$(cat tests/peer.txt)
# A virtual environment does not survive being moved, so ask what is in it.
if [ "$(cat .venv-peer/installed 2>/dev/null || true)" != "$pinned" ] || ! .venv-peer/bin/uvicorn --version >/dev/null 2>&1; then
    printf '==> Installing the SCIM server to compare with into .venv-peer (about 10 MB, once)\n'
    rm -rf .venv-peer
    python3 -m venv .venv-peer || die 'python3 can make no virtual environment.'
    .venv-peer/bin/python -m pip install --disable-pip-version-check --quiet --retries 2 -r tests/peer.txt ||
        die 'pip could not install what tests/peer.txt names (see above).'
    .venv-peer/bin/scim2-server --help >/dev/null || die 'what was installed does not run (see above).'
    printf '%s\n' "$pinned" >.venv-peer/installed
fi
