-- Leases up to a number of jobs that are due.
-- KEYS  1 active (list)  2 scheduled (zset, seconds)  3 data (hash)  4 leases (zset, ms)  5 dead (set)
--       6 our last claim (list: its token, then ids, each with 1 if it was claimed before; kept as long as the lease)
-- ARGV  1 lease token  2 how many at the most  3 bytes of data at the most  4 lease, ms  5 prefix of meta hashes
-- Returns {jobs, broken ids, ms until the next job is due or -1, now in ms}; a job is
--       {id, data, attempts, max_attempts, crashes, 1 if it was claimed before, ms of its first claim}
-- Cost grows with the number claimed, never with the backlog. Called again with the same token, because the answer
-- was lost, it returns the same jobs.

local token, max, max_bytes, lease_ms, prefix = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local jobs, broken, bytes = {}, {}, 0

local function add(id, data, meta, before)
  local fields = redis.call('HMGET', meta, 'attempts', 'max_attempts', 'crashes', 'claimed_at')
  jobs[#jobs + 1] = {id, data, fields[1], fields[2], fields[3], before, fields[4]}
  bytes = bytes + #data
end

local given = redis.call('LRANGE', KEYS[6], 0, -1)
if given[1] == token then
  for i = 2, #given, 2 do
    local id, before = given[i], given[i + 1]
    local meta = prefix .. id
    local data = redis.call('HGET', KEYS[3], id)
    if data and redis.call('HGET', meta, 'lease') == token then
      add(id, data, meta, before)
    end
  end
  return {jobs, broken, -1, now}
end
redis.call('DEL', KEYS[6])

local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now / 1000, 'LIMIT', 0, max)
local next_due = 1

-- The next id that can be claimed: those in `active` were there first.
local function take()
  local id = redis.call('LPOP', KEYS[1])
  if not id and next_due <= #due then
    id = due[next_due]
    next_due = next_due + 1
    redis.call('ZREM', KEYS[2], id)
  end
  return id
end

while #jobs < max and #broken < max and bytes < max_bytes do
  local id = take()
  if not id then break end
  local meta = prefix .. id
  local data = redis.call('HGET', KEYS[3], id)
  local kind = redis.call('TYPE', meta).ok
  if not data then
    if kind == 'hash' then redis.call('DEL', meta) end
    broken[#broken + 1] = id
  elseif kind ~= 'hash' and kind ~= 'none' then
    redis.call('SADD', KEYS[5], id)
    broken[#broken + 1] = id
  else
    local before = 1 - redis.call('HSETNX', meta, 'claimed_at', now)
    redis.call('HSET', meta, 'lease', token, 'status', 'Running')
    redis.call('ZADD', KEYS[4], now + lease_ms, id)
    if #jobs == 0 then redis.call('RPUSH', KEYS[6], token) end
    redis.call('RPUSH', KEYS[6], id, before)
    add(id, data, meta, before)
  end
end

if #jobs > 0 then
  redis.call('PEXPIRE', KEYS[6], lease_ms)
  return {jobs, broken, -1, now}
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local wait = -1
if first[2] then wait = math.max(0, math.ceil(first[2] * 1000 - now)) end
return {jobs, broken, wait, now}
