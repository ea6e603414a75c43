#!/usr/bin/env bash
# Fuzzes one target with libFuzzer, on the stable toolchain.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: fuzz/run.sh [--build | --minimise] TARGET [--seconds N] [-- LIBFUZZER OPTION…]

Runs TARGET on its corpus and on mutations of it for N seconds (default: 60). New inputs are kept in fuzz/target/found,
which is used again the next time; an input that breaks something is kept in fuzz/artifacts, and can be run again with
`fuzz/run.sh TARGET -- FILE`. Exit code 1 when something broke.

  --build     only build all targets
  --minimise  replace fuzz/corpus/TARGET by the smallest set of inputs that covers as much as all that were found

Needs cargo and a C++ compiler; no nightly toolchain and no cargo-fuzz.
HELP
}

fuzz=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
triple=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz passes for coverage. Only for the target, which a build script is not.
readonly COVERAGE='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares'
# Larger inputs find nothing new, slowly.
readonly MAX_BYTES=8192

main() {
    local mode=run seconds=60 target=
    while (($# > 0)); do
        case $1 in
        --build | --minimise) mode=${1#--} ;;
        --seconds) seconds=${2?} && shift ;;
        -h | --help) usage && exit ;;
        --) shift && break ;;
        -*) usage >&2 && exit 2 ;;
        *) target=$1 ;;
        esac
        shift
    done
    [[ $mode == build || -f $fuzz/targets/$target.rs ]] || {
        echo "There is no target \"$target\"; there are: $(cd "$fuzz/targets" && echo *.rs | sed 's/\.rs//g')" >&2
        exit 2
    }
    RUSTFLAGS=$COVERAGE cargo build --quiet --locked --release --manifest-path "$fuzz/Cargo.toml" --target "$triple"
    [[ $mode != build ]] || exit 0

    local corpus=$fuzz/corpus/$target found=$fuzz/target/found/$target program=$fuzz/target/$triple/release/$target
    mkdir -p "$corpus" "$found" "$fuzz/artifacts"
    local options=("-artifact_prefix=$fuzz/artifacts/$target-" "-max_len=$MAX_BYTES" -timeout=10 -rss_limit_mb=1024)
    if [[ $mode == minimise ]]; then
        local least
        least=$(mktemp -d)
        "$program" "${options[@]}" -merge=1 "$least" "$corpus" "$found"
        rm -r "$corpus"
        mv "$least" "$corpus"
        chmod 755 "$corpus"
    elif (($# > 0)) && [[ ${*: -1} != -* ]]; then
        "$program" "${options[@]}" "$@"
    else
        "$program" "${options[@]}" -print_final_stats=1 "-max_total_time=$seconds" "$@" "$found" "$corpus"
    fi
}

main "$@"
