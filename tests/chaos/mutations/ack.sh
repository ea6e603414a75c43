# shellcheck shell=bash disable=SC2034
# A job leaves its queue, and its outcome is not in the log.
breaks='missing'
faults='clients,kill-service'

mutate() {
    replace src/queue/apalis/settle.lua \
        "if user ~= '' then" \
        "if false then"
    replace src/queue/bull/settle.lua \
        "if user ~= '' then" \
        "if false then"
}
