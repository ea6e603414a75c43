# shellcheck shell=bash disable=SC2034
# A job leaves its queue, and its outcome is not in the log.
breaks='missing'
faults='clients,kill-service'

mutate() {
    exit 1
}
