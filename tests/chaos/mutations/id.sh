# shellcheck shell=bash disable=SC2034
# A create does not take its id from its job.
breaks='twice'
faults='kill-service,stop-service,kill-redis,stop-mongod'

mutate() {
    replace src/character/service.rs \
        'let (id, user) = (id_of(origin), caller.user().to_owned());' \
        'let (id, user) = (ObjectId::new(), caller.user().to_owned());'
}
