#!/bin/sh
# Builds every fuzz target of feeder/fuzz and filter/fuzz and runs each for some seconds (20, or $SECONDS_EACH) from the committed corpus; fails on an
# input that breaks a property, and names it. Installs cargo-fuzz, of the version below, into .tools if it is not there. `fuzz.sh DIRECTORY…`: only
# those. `fuzz.sh --one DIRECTORY NAME` runs what was built.
set -eu
cd "$(dirname "$0")/.."

version=0.13.1
tool="$PWD/.tools/bin/cargo-fuzz"
target="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
programs="$target/$(rustc -vV | sed -n 's/^host: //p')/debug"

# What is found goes below the target directory: only a person adds to the committed corpus.
one() {
    directory=$1 name=$2
    mkdir -p "$target/corpus/$name" "$target/found/$name"
    set -- "$target/corpus/$name" "$directory/corpus/$name"
    for words in "$directory"/*.dict; do
        [ -e "$words" ] && set -- "$@" "-dict=$words"
    done
    "$programs/$name" "$@" -artifact_prefix="$target/found/$name/" -max_total_time="${SECONDS_EACH:-20}" \
        -max_len=4096 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 >"$target/$name.log" 2>&1 || {
        tail -n 40 "$target/$name.log" >&2
        echo "fuzz: $name fails on the file named above; to see it again: $programs/$name FILE" >&2
        echo "fuzz: once it is mended, add the file to $directory/corpus/$name: make test tries it from then on" >&2
        return 1
    }
    awk -v name="$name" '
        /number_of_executed_units/ { inputs = $2 }
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        END { printf "fuzz: %-9s %9d inputs tried, %5d edges reached\n", name, inputs, edges }' "$target/$name.log"
}

if [ "${1-}" = --one ]; then
    one "$2" "$3"
    exit
fi
[ $# -gt 0 ] || set -- feeder/fuzz filter/fuzz

if [ "$("$tool" --version 2>/dev/null)" != "cargo-fuzz $version" ]; then
    echo "fuzz: installing cargo-fuzz $version into .tools (a minute, once)"
    CARGO_TARGET_DIR="$PWD/.tools/target" cargo install --quiet --root .tools --force --version "$version" cargo-fuzz || {
        echo "fuzz: cargo could not install cargo-fuzz $version (see above). Is the crates registry reachable?" >&2
        exit 1
    }
    rm -rf .tools/target
fi

# RUSTC_BOOTSTRAP: instrumentation is a nightly option, which the pinned compiler has too.
# --dev: with overflow checks and debug assertions; Cargo.toml says what is optimised all the same.
# --strip-dead-code: what is not reached of the filter calls Envoy, and has nothing to link with.
# No sanitizer: our code has no `unsafe` that is reached from here, nor is the C that it links; it would cost half of the speed.
for directory; do
    RUSTC_BOOTSTRAP=1 "$tool" fuzz build --fuzz-dir "$directory" --dev --sanitizer none --strip-dead-code --codegen-units 16 \
        --target-dir "$target" || {
        echo "fuzz: the targets of $directory do not build (see above). If it is libfuzzer-sys, a C++ compiler is missing: apt-get install g++" >&2
        exit 1
    }
done

# As many at a time as there are processors.
for directory; do
    for corpus in "$directory"/corpus/*/; do
        echo "$directory $(basename "$corpus")"
    done
done | xargs -P "$(nproc)" -n 2 tests/fuzz.sh --one
