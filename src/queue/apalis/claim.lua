-- Leases up to a number of jobs that are due.
-- KEYS  1 active (list)  2 scheduled (zset, seconds)  3 data (hash)  4 leases (zset, ms)
--       5 our last claim (list: its token, then ids, each with 1 if it was claimed before; kept as long as the lease)
--       6 letters (zset, serial)  7 last serial
-- ARGV  1 lease token  2 how many at the most  3 bytes of data at the most  4 lease, ms  5 prefix of meta hashes
--       6 1 if nothing else runs in our process  7 prefix of letters  8 how long letters are kept, ms
-- Returns {jobs, broken ids, ms until the next job is due or -1, now in ms, 1 if a suspect is next}; a job is
--       {id, data, attempts, max_attempts, crashes, 1 if it was claimed before, ms of its first claim}
-- A suspect, a job that two processes have died of perhaps, is given only alone.
-- Cost grows with the number claimed, never with the backlog. Called again with the same token, because the answer
-- was lost, it returns the same jobs.

local token, max, max_bytes, lease_ms, prefix = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local alone = ARGV[6] == '1'
local letters = {set = KEYS[6], last = KEYS[7], prefix = ARGV[7], ttl = ARGV[8]}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local jobs, broken, bytes = {}, {}, 0

-- A number that a producer's metadata may have spoilt.
local function count(value)
  return math.floor(math.max(0, math.min(tonumber(value) or 0, 1e9)))
end

local function add(id, data, meta, before)
  local f = redis.call('HMGET', meta, 'attempts', 'max_attempts', 'octavo:crashes', 'octavo:claimed_at')
  jobs[#jobs + 1] = {id, data, count(f[1]), count(f[2]), count(f[3]), before, tonumber(f[4]) or now}
  bytes = bytes + #data
end

local given = redis.call('LRANGE', KEYS[5], 0, -1)
if given[1] == token then
  for i = 2, #given, 2 do
    local id, meta = given[i], prefix .. given[i]
    local data = redis.call('HGET', KEYS[3], id)
    if data and redis.call('HGET', meta, 'octavo:lease') == token then
      add(id, data, meta, tonumber(given[i + 1]))
    end
  end
  return {jobs, broken, -1, now, 0}
end
redis.call('DEL', KEYS[5])

local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now / 1000, 'LIMIT', 0, max)
local next_due, suspect = 1, 0
while #jobs < max and #broken < max and bytes < max_bytes do
  -- Those in `active` were there first.
  local id = redis.call('LINDEX', KEYS[1], 0)
  local listed = id
  id = id or due[next_due]
  if not id then break end
  local meta = prefix .. id
  local kind = redis.call('TYPE', meta).ok
  local sound = (kind == 'hash' or kind == 'none') and is_text(id)
  if sound and count(redis.call('HGET', meta, 'octavo:crashes')) > 1 and not (alone and #jobs == 0) then
    suspect = #jobs == 0 and 1 or 0
    break
  end
  if listed then
    redis.call('LPOP', KEYS[1])
  else
    redis.call('ZREM', KEYS[2], id)
    next_due = next_due + 1
  end
  local data = redis.call('HGET', KEYS[3], id)
  if not data then
    if kind == 'hash' then redis.call('DEL', meta) end
    broken[#broken + 1] = id
  elseif not sound then
    bury(letters, KEYS[3], meta, id, is_text(id) and 'its metadata is no hash' or 'its id is not text')
    broken[#broken + 1] = id
  else
    local before = 1 - redis.call('HSETNX', meta, 'octavo:claimed_at', now)
    redis.call('HSET', meta, 'octavo:lease', token, 'status', 'Running', 'octavo:last_claim', now)
    redis.call('ZADD', KEYS[4], now + lease_ms, id)
    if #jobs == 0 then redis.call('RPUSH', KEYS[5], token) end
    redis.call('RPUSH', KEYS[5], id, before)
    add(id, data, meta, before)
    if jobs[#jobs][5] > 1 then break end
  end
end

if #jobs > 0 then
  redis.call('PEXPIRE', KEYS[5], lease_ms)
  return {jobs, broken, -1, now, 0}
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local wait = -1
if first[2] then wait = math.max(0, math.ceil(first[2] * 1000 - now)) end
return {jobs, broken, wait, now, suspect}
