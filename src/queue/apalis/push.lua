-- Adds a job as a stock push of apalis-redis 1.0 does, unless the idempotency key already stands for one.
-- KEYS  1 scheduled (zset, seconds)  2 data (hash)  3 meta of the job (hash)
--       4 the idempotency key (hash: job, fingerprint), if there is one
-- ARGV  1 id of the job  2 its data  3 fingerprint of the request  4 how long the key is kept, ms
-- Returns the id of the job that was added, or of the one that the key stands for; '' if it stands for another request.
-- The key is written last: a push that is aborted by a Redis key of the wrong type leaves none that stands for nothing.

local id = ARGV[1]
if KEYS[4] then
  local before = redis.call('HMGET', KEYS[4], 'job', 'fingerprint')
  if before[1] then return before[2] == ARGV[3] and before[1] or '' end
end
redis.call('HSET', KEYS[2], id, ARGV[2])
redis.call('HSET', KEYS[3], 'attempts', 0, 'max_attempts', 25, 'status', 'Pending', 'idempotency_key', '')
redis.call('ZADD', KEYS[1], redis.call('TIME')[1], id)
if KEYS[4] then
  redis.call('HSET', KEYS[4], 'job', id, 'fingerprint', ARGV[3])
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
end
return id
