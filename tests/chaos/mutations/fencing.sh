# shellcheck shell=bash disable=SC2034
# An ack of a lease that was lost counts all the same.
breaks='recounted|twice|lost|disordered'
faults='stop-service,kill-service,stop-redis'

mutate() {
    replace src/queue/apalis/settle.lua \
        "redis.pcall('HGET', meta, 'octavo:lease') == token" \
        "true"
    replace src/queue/bull/settle.lua \
        "local ours = redis.call('GET', key .. ':lock') == token" \
        "local ours = true"
    replace src/queue/bull/settle.lua \
        "ours = redis.call('LREM', KEYS[2], -1, id) > 0 and redis.call('TYPE', key).ok == 'hash'" \
        "redis.call('LREM', KEYS[2], -1, id)"
}
