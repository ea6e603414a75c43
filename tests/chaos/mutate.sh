#!/usr/bin/env bash
# Shows that the chaos suite catches what it is there for: takes one of the service's guarantees out, and sees it fail.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
SEEDS=${SEEDS:-'1 2 3'}

usage() {
    cat <<HELP
Usage: tests/chaos/mutate.sh NAME
       tests/chaos/mutate.sh --check

Copies the sources, changes them as tests/chaos/mutations/NAME.sh says, builds the copy, and runs the chaos suite on it
with the seeds $SEEDS. Succeeds when the suite fails, and for the reason that the mutation names.
--check only makes each of the changes, to see that the sources still have what it replaces.

Names: $(cd "$here/mutations" && printf '%s ' *.sh | sed 's/\.sh//g')
Environment: SEEDS, and what tests/chaos/main.mjs needs: OCTAVO_MONGOD, when mongod is not on the PATH.
HELP
}

main() {
    case ${1-} in
    -h | --help)
        usage
        exit
        ;;
    --check)
        check
        exit
        ;;
    esac
    local mutation=$here/mutations/${1-}.sh
    [[ $# == 1 && -f $mutation ]] || {
        usage >&2
        exit 2
    }
    make_scratch
    # A mutation says what it breaks, which faults bring it to light, and how to make it.
    local breaks faults
    # shellcheck source=/dev/null
    source "$mutation"

    copy_sources
    cd "$scratch/octavo"
    mutate
    build
    cd "$root"
    local seed log=$scratch/suite.log
    for seed in $SEEDS; do
        echo "== $1, seed $seed"
        if OCTAVO_BIN=$target/debug/octavo node "$here/main.mjs" --seed "$seed" --duration 40 --topology single --faults "$faults" >"$log" 2>&1; then
            echo 'the suite has noticed nothing'
        elif grep -E "^FAIL +[0-9]+ ($breaks) " "$log"; then
            echo "$1: caught"
            exit
        elif ! grep -q ' invariants hold, ' "$log"; then
            tail -n 40 "$log" >&2
            echo 'The suite did not run (see above). tests/run.sh gets all that it needs.' >&2
            exit 1
        else
            tail -n 40 "$log"
        fi
    done
    echo "$1: NOT caught" >&2
    exit 1
}

check() {
    make_scratch
    local mutation
    for mutation in "$here"/mutations/*.sh; do
        # shellcheck source=/dev/null
        source "$mutation"
        copy_sources
        # Without `||` or `if` around it, so that the first change that cannot be made ends it.
        (
            cd "$scratch/octavo"
            mutate
        )
    done
    echo 'Every mutation can be made.'
}

make_scratch() {
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/octavo-mutant.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
}

copy_sources() {
    rm -rf "$scratch/octavo"
    mkdir "$scratch/octavo"
    cp -r "$root"/{Cargo.toml,Cargo.lock,benches,src,config} "$scratch/octavo"
}

# The dependencies are those that are built already; the copy has a place of its own, which is kept for the next mutation.
build() {
    local built=${CARGO_TARGET_DIR:-$root/target}
    target=$built/mutants
    if [[ ! -d $target && -d $built/debug/deps ]]; then
        mkdir -p "$target/debug"
        cp -a "$built"/debug/{deps,build,.fingerprint} "$target/debug"
        # Ours is built from other sources.
        rm -rf "$target"/debug/deps/*octavo* "$target"/debug/.fingerprint/octavo-*
    fi
    CARGO_TARGET_DIR=$target cargo build --locked --bin octavo
}

# replace FILE OLD NEW: OLD must be there exactly once, or the mutation has to be written anew.
# shellcheck disable=SC2317 # mutations call it
replace() {
    python3 - "$@" <<'PYTHON'
import sys

path, old, new = sys.argv[1:]
text = open(path).read()
if text.count(old) != 1:
    sys.exit(f"{path}: {text.count(old)} times, not once: {old}")
open(path, "w").write(text.replace(old, new))
PYTHON
}

main "$@"
