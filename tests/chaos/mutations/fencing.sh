# shellcheck shell=bash disable=SC2034
# An ack of a lease that was lost counts all the same.
breaks='recounted|twice|lost|disordered'
faults='stop-service,stop-mongod,stop-redis'

mutate() {
    replace src/queue/apalis/settle.lua \
        "redis.pcall('HGET', prefix .. id, 'octavo:lease') == ARGV[i + 1]" \
        "true"
    replace src/queue/bull/settle.lua \
        "if holder == ARGV[n * 6 + 12] then" \
        "if true then"
    replace src/queue/bull/settle.lua \
        "if there and active[id] and holders[n] == token then" \
        "if there and active[id] then"
    replace src/queue/bull/settle.lua \
        "taken[id] = taken[id] or redis.call('LREM', KEYS[2], '-1', id) == 1" \
        "taken[id] = true"
    replace src/queue/bull/settle.lua \
        "verdict == 'removed' and all and not id:find('%D')" \
        "true"
}
