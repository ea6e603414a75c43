-- Adds a job as a stock push of apalis-redis 1.0 does, unless the idempotency key already stands for one, or its user has
-- too much.
-- KEYS  1 scheduled (zset, seconds)  2 data (hash)  3 meta of the job (hash)
--       4 what counts for the user (hash): `jobs` and `bytes` that wait or run; `rate` and `keys`, when the buckets of jobs
--       and of idempotency keys are full again, in µs
--       5 `<bytes> <user>` of jobs that count (hash, by job id)
--       6 the idempotency key (hash: job, fingerprint), if there is one
-- ARGV  1 id of the job  2 its data  3 how long the counts are kept after the last push, ms  4 user, or '' for no quotas
--       5 the most jobs that wait  6 the most bytes  7 jobs per second  8 idempotency keys per day; 0 for no limit
--       9 fingerprint of the request  10 how long the key is kept, ms, if there is one
-- Returns {the id of the job that was added, or of the one that the key stands for, or '' if it stands for another request;
-- the quota that is used up, or ''; how many jobs are left of the rate, or -1; ms until there is room, or 0 if nobody knows}.
-- The key is written last: a push that is aborted leaves none that stands for nothing.

local _, spoilt = types({'zset', 'hash', 'hash', 'hash', 'hash', KEYS[6] and 'hash'})
if spoilt then return spoilt end
local id, user = ARGV[1], ARGV[4]
if KEYS[6] then
  local before = redis.call('HMGET', KEYS[6], 'job', 'fingerprint')
  if before[1] then return {before[2] == ARGV[9] and before[1] or '', '', -1, 0} end
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- Takes one from a bucket of `most` that fills up within `window` µs, and is full again at `full`. Returns when it is full
-- then, how many are left, and how long until there is one, in ms.
local function take(full, most, window)
  if most == 0 then return now, -1, 0 end
  local after = math.min(math.max(tonumber(full or nil) or now, now), now + window) + window / most
  local over = after - now - window
  return after, math.floor(-over * most / window), over > 0 and math.ceil(over / 1000) or 0
end

local left = -1
if user ~= '' then
  local own = redis.call('HMGET', KEYS[4], 'jobs', 'bytes', 'rate', 'keys')
  local jobs, bytes = (tonumber(own[1] or nil) or 0) + 1, (tonumber(own[2] or nil) or 0) + #ARGV[2]
  local rate, keys, wait
  if jobs > (tonumber(ARGV[5]) > 0 and tonumber(ARGV[5]) or math.huge) then return {'', 'jobs_waiting', -1, 0} end
  if bytes > (tonumber(ARGV[6]) > 0 and tonumber(ARGV[6]) or math.huge) then return {'', 'bytes_waiting', -1, 0} end
  rate, left, wait = take(own[3], ARGV[7] * 10, 10000000)
  if wait > 0 then return {'', 'jobs_per_second', 0, wait} end
  keys = own[4]
  if KEYS[6] then
    local _
    keys, _, wait = take(own[4], tonumber(ARGV[8]), 86400000000)
    if wait > 0 then return {'', 'idempotency_keys', 0, wait} end
    keys = string.format('%.0f', keys)
  end
  redis.call('HSET', KEYS[4], 'jobs', string.format('%.0f', jobs), 'bytes', string.format('%.0f', bytes), 'rate',
    string.format('%.0f', rate), 'keys', keys or '0')
  redis.call('PEXPIRE', KEYS[4], ARGV[3])
end

redis.call('HSET', KEYS[2], id, ARGV[2])
redis.call('HSET', KEYS[3], 'attempts', 0, 'max_attempts', 25, 'status', 'Pending', 'idempotency_key', '')
if user ~= '' then redis.call('HSET', KEYS[5], id, #ARGV[2] .. ' ' .. user) end
redis.call('ZADD', KEYS[1], time[1], id)
if KEYS[6] then
  redis.call('HSET', KEYS[6], 'job', id, 'fingerprint', ARGV[9])
  redis.call('PEXPIRE', KEYS[6], ARGV[10])
end
return {id, '', left, 0}
