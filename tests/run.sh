#!/usr/bin/env bash
# Sets up everything that the tests need, runs all of them, and reports by its exit code.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: tests/run.sh [--help]

Runs all of Octavo's tests: Rust (unit and integration), Node (a stock socket.io-client against the binary),
the page in Chromium, and the short forms of the chaos suite and the hostile suite. Nothing is skipped: if something is missing and
cannot be obtained, that is an error that says what to do.

Needs cargo, make, node 20.15 or newer with npm, python3, and apt-get (with sudo when not root).
Fetches what is not on the PATH: redis-server, mongod, chromium, the npm packages.
Downloads are kept in tests/.cache, so a second run is quick. The build and the servers need 4 GB.

Environment:
  REDIS_HOST, REDIS_PORT, MONGODB_URI
      Use these servers; tests that break their servers start others. REDIS_HOST and MONGODB_URI go together;
      REDIS_PORT defaults to 6379. The tests use databases named octavo_test_… and their own keys, and leave
      them behind: use disposable servers.
  OCTAVO_SCREENSHOTS
      A folder for the screenshots of the page (default: a temporary one).
HELP
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/tests/.cache
# The build takes 2 GB, the servers of the chaos suite another; and a mongod whose disk is full simply dies.
readonly NEEDED_GB=4
scratch=
passed=0
failed=0

# shellcheck source-path=SCRIPTDIR source=servers.sh
source "$root/tests/servers.sh"

main() {
    case ${1-} in
    '') ;;
    -h | --help)
        usage
        exit
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac

    cd "$root"
    # mongod opens a file for each collection and index.
    ulimit -n "$(ulimit -Hn)"
    check_tools
    make_folders
    check_space "$root" "$scratch"
    find_servers
    choose_servers
    install_node_packages
    local chromium
    chromium=$(find_chromium) || exit 1
    clean_environment
    # Absolute paths, because the parts run in different folders.
    OCTAVO_BIN=$(realpath -m "${CARGO_TARGET_DIR:-target}")/debug/octavo
    [[ -z ${OCTAVO_SCREENSHOTS-} ]] || OCTAVO_SCREENSHOTS=$(realpath -m "$OCTAVO_SCREENSHOTS")
    export OCTAVO_BIN OCTAVO_SCREENSHOTS OCTAVO_CHROMIUM=$chromium

    say 'Building'
    cargo build --locked || die 'The service does not build; no tests were run.'
    say 'Rust: unit and integration tests'
    run_rust
    say 'Node: contract, rooms, HTTP, lifecycle, page, Bull'
    run_node
    say 'Chaos: servers killed, stopped, cut off and filled up under load, and what became of each job (short form)'
    run_chaos
    say 'Hostile: what strangers, users and producers do to harm the service, while an ordinary user works (short form)'
    run_hostile

    say 'All parts have run'
    echo "$passed passed, $failed failed"
    ((failed == 0))
}

check_tools() {
    local tool
    for tool in cargo make node npm python3; do
        command -v "$tool" >/dev/null || die "$tool is missing. Install it and run this again."
    done
    node -e 'const [major, minor] = process.versions.node.split("."); process.exit(major * 100 + +minor < 2015 ? 1 : 0)' ||
        die "node $(node --version) is too old. Install node 20.15 or newer."
}

# check_space FOLDER...: dies when one of them is on a disk that would fill up before the end.
check_space() {
    local folder
    for folder; do
        has_space "$folder" "$NEEDED_GB" ||
            die "$folder has $(($(free_kb "$folder") / 1024)) MB free, but the tests need $NEEDED_GB GB. Make room and run this again."
    done
}

# has_space FOLDER GB
has_space() {
    (($(free_kb "$1") >= $2 * 1024 * 1024))
}

free_kb() {
    df --output=avail -k "$1" 2>/dev/null | tail -n 1 | grep -o '[0-9]*' || echo 0
}

# Makes the folder for all that the tests keep while they run. It is in memory where there is room, because a shared disk may
# stall for seconds; the tests kill processes, never the machine.
make_folders() {
    if [[ -z ${TMPDIR-} ]] && has_space /dev/shm $((2 * NEEDED_GB)); then
        export TMPDIR=/dev/shm
    fi
    mkdir -p "$cache"
    echo '*' >"$cache/.gitignore"
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/octavo-tests.XXXXXX")
    trap 'clean_up' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

clean_up() {
    stop_servers
    rm -rf "$scratch"
}

# For tests that need servers of their own, whichever servers the others use.
find_servers() {
    need_redis_server
    OCTAVO_MONGOD=$(find_mongod) || exit 1
    export OCTAVO_MONGOD
}

choose_servers() {
    if [[ -n ${REDIS_HOST-} && -n ${MONGODB_URI-} ]]; then
        export OCTAVO_TEST_REDIS_HOST=$REDIS_HOST OCTAVO_TEST_REDIS_PORT=${REDIS_PORT:-6379}
        export OCTAVO_TEST_MONGODB_URI=$MONGODB_URI
        redis_answers "$OCTAVO_TEST_REDIS_HOST" "$OCTAVO_TEST_REDIS_PORT" ||
            die "Redis does not answer at $OCTAVO_TEST_REDIS_HOST:$OCTAVO_TEST_REDIS_PORT. Check REDIS_HOST and REDIS_PORT, or unset them and MONGODB_URI to have servers started."
        say "Using the Redis at $OCTAVO_TEST_REDIS_HOST:$OCTAVO_TEST_REDIS_PORT and the MongoDB at MONGODB_URI"
        return
    fi
    [[ -z ${REDIS_HOST-} ]] ||
        die 'REDIS_HOST is set but MONGODB_URI is not. Set both to use existing servers, or neither to have them started.'
    [[ -z ${MONGODB_URI-} ]] ||
        die 'MONGODB_URI is set but REDIS_HOST is not. Set both to use existing servers, or neither to have them started.'
    say 'Starting Redis and MongoDB'
    start_redis
    start_mongod
    echo "Redis at $OCTAVO_TEST_REDIS_HOST:$OCTAVO_TEST_REDIS_PORT, MongoDB at $OCTAVO_TEST_MONGODB_URI"
}

install_node_packages() {
    # A copy of the lock file tells whether the installed packages are still current.
    local installed=$root/tests/node/node_modules/.installed-lock.json lock=$root/tests/node/package-lock.json
    if cmp -s "$installed" "$lock"; then
        return
    fi
    say "Installing the tests' npm packages"
    # Not `npm ci`: it rejects the lock file if a registry lacks an optional package for another platform. The versions
    # and checksums in the lock file hold here too, and --no-save leaves it as it is.
    npm install --no-save --prefix "$root/tests/node" --cache "$cache/npm" --ignore-scripts --no-audit --no-fund ||
        die 'The npm packages of tests/node are missing: npm install failed (see above). Check that npm can reach its registry and run this again.'
    cp "$lock" "$installed"
}

# Prints the path of a browser.
find_chromium() {
    local name
    for name in chromium chromium-browser google-chrome; do
        if command -v "$name"; then
            return
        fi
    done
    apt_install chromium >&2 ||
        die 'chromium is missing: it is not on the PATH and could not be installed with apt-get. Install Chromium and run this again.'
    command -v chromium
}

# The tests give the service an explicit environment; nothing of the caller's may reach it any other way.
clean_environment() {
    unset PORT PORT_MESSAGES_USERS MONGODB_URI REDIS_HOST REDIS_PORT JWT_SECRET
    local name
    for name in $(compgen -v OCTAVO__ || true); do
        unset "$name"
    done
}

run_rust() {
    local log=$scratch/rust.log status=0
    cargo test --locked --no-fail-fast 2>&1 | tee "$log" || status=$?
    count "$status" \
        "$(sum 's/^test result: .* ([0-9]+) passed;.*/\1/p' "$log")" \
        "$(sum 's/^test result: .* ([0-9]+) failed;.*/\1/p' "$log")"
}

run_node() {
    # One file at a time: lifecycle.test.mjs loads the servers, and cuts the connections of its own service.
    local log=$scratch/node.tap status=0
    (
        cd tests/node
        node --test --test-concurrency=1 --test-timeout=600000 \
            --test-reporter=spec --test-reporter-destination=stdout \
            --test-reporter=tap --test-reporter-destination="$log"
    ) || status=$?
    touch "$log"
    count "$status" "$(sum 's/^# pass ([0-9]+)$/\1/p' "$log")" "$(sum 's/^# (fail|cancelled|skipped|todo) ([0-9]+)$/\2/p' "$log")"
}

# One result per invariant and topology. The seed is printed, and if an invariant is broken, where the logs are.
run_chaos() {
    local log=$scratch/chaos.log status=0
    node tests/chaos/main.mjs 2>&1 | tee "$log" || status=$?
    count "$status" \
        "$(sum 's/^([0-9]+) invariants hold, .*/\1/p' "$log")" \
        "$(sum 's/^[0-9]+ invariants hold, ([0-9]+) do not.*/\1/p' "$log")"
}

# One result per case. How long others wait is measured with a release build and without --patience; here it only must end.
run_hostile() {
    local log=$scratch/hostile.log status=0
    node tests/hostile/main.mjs --patience 60 2>&1 | tee "$log" || status=$?
    count "$status" \
        "$(sum 's/^([0-9]+) hostile cases hold, .*/\1/p' "$log")" \
        "$(sum 's/^[0-9]+ hostile cases hold, ([0-9]+) do not.*/\1/p' "$log")"
}

# count STATUS PASSED FAILED: adds a part to the totals. A part that ran no tests, or broke before it could count its
# failures, is a failure as well.
count() {
    local status=$1 part_passed=$2 part_failed=$3
    if ((part_failed == 0 && (status != 0 || part_passed == 0))); then
        part_failed=1
    fi
    ((passed += part_passed, failed += part_failed)) || true
}

# sum SED_SCRIPT FILE: the sum of the numbers that the script prints.
sum() {
    sed -nE "$1" "$2" | awk '{ total += $1 } END { print total + 0 }'
}

# apt_install PACKAGE: tries again after apt-get update, which a fresh machine needs.
apt_install() {
    command -v apt-get >/dev/null || return 1
    local as_root=(env DEBIAN_FRONTEND=noninteractive)
    if ((EUID != 0)); then
        command -v sudo >/dev/null || return 1
        as_root=(sudo "${as_root[@]}")
    fi
    say "Installing $1 with apt-get"
    "${as_root[@]}" apt-get install -y -qq "$1" >"$scratch/apt.log" 2>&1 && return
    if "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -y -qq "$1"; then
        return
    fi >>"$scratch/apt.log" 2>&1
    tail -n 20 "$scratch/apt.log" >&2
    return 1
}

say() {
    printf '\n== %s\n' "$*"
}

die() {
    printf 'tests/run.sh: %s\n' "$*" >&2
    exit 1
}

main "$@"
