-- Leases jobs that are due, up to a given number.
-- KEYS  1 active (list)  2 scheduled (zset, seconds)  3 data (hash)  4 leases (zset, ms)
--       5 our last claim (packed: its token, then ids, each with 1 if claimed before, or 0; kept as long as the lease)
--       6 letters (zset, serial)  7 last serial  8 what counts for users (hash, by job id)
-- ARGV  1 lease token  2 the most jobs, up to 1,000  3 the most bytes of data  4 lease, ms
--       5 prefix of meta hashes  6 how many of the jobs are the newest, if more than twice as many wait
--       7 1 if nothing else runs in our process  8 to 12 for letters (letters_at)
--       13 1 to leave out the data, because it is long: Lua hashes every byte of a string that it is given
-- Returns {jobs, broken ids, ms until the next job is due or -1, now in ms, 1 if a suspect is next}; a job is seven values:
--       attempts, max_attempts, crashes, time of its first claim in ms, data, id, 1 if it was claimed before; a producer
--       may have spoilt the numbers, or left them out
-- A suspect, a job that may have killed two processes, is claimed only alone.
-- The cost grows with the number claimed, never with the backlog. Called again with the same token, because the answer
-- was lost, it returns the same jobs. The first write frees memory: a full Redis refuses a script only at its first write.

local token, max, max_bytes, lease_ms, prefix = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local alone, long = ARGV[7] == '1', ARGV[13] == '1'
local letters = letters_at(KEYS[6], KEYS[7], 8)
local _, spoilt = types({'list', 'zset', 'hash', 'zset', 'string', 'zset', 'string', 'hash'})
if spoilt then return spoilt end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%d', now)
local lease_end = string.format('%d', now + lease_ms)
local jobs, count, broken, bytes = {}, 0, {}, 0

-- The metadata of a job; an error if it is not a hash.
local function read(id)
  return redis.pcall('HMGET', prefix .. id, 'attempts', 'max_attempts', 'octavo:crashes', 'octavo:claimed_at', 'octavo:lease')
end

-- The data of a job, or its length if it is left out; false if there is none.
local function data_of(id)
  if not long then return redis.call('HGET', KEYS[3], id) end
  return redis.call('HEXISTS', KEYS[3], id) == 1 and redis.call('HSTRLEN', KEYS[3], id)
end

local function add(id, data, f, before)
  local n = count * 7
  jobs[n + 1], jobs[n + 2], jobs[n + 3], jobs[n + 4] = f[1], f[2], f[3], f[4]
  jobs[n + 5], jobs[n + 6], jobs[n + 7] = not long and data, id, before
  count = count + 1
  bytes = bytes + (long and data or #data)
end

local given = redis.call('GET', KEYS[5])
local known
known, given = pcall(cmsgpack.unpack, given or '')
given = known and type(given) == 'table' and given or {}
if given[1] == token then
  for i = 2, #given, 2 do
    local id, f = given[i], read(given[i])
    local data = f[5] == token and data_of(id)
    if data then add(id, data, f, given[i + 1]) end
  end
  return {jobs, broken, -1, now, 0}
end
redis.call('DEL', KEYS[5])

local newest = redis.call('ZCARD', KEYS[2]) > 2 * max and tonumber(ARGV[6]) or 0
local oldest = max - newest
-- Those in `active` were there first.
local ids = oldest > 0 and redis.call('LRANGE', KEYS[1], '0', string.format('%d', oldest - 1)) or {}
local listed, taken, suspect = #ids, 0, 0
local function scheduled(command, from, to, most)
  return redis.call(command, KEYS[2], from, to, 'LIMIT', '0', string.format('%d', most))
end
if listed < oldest then
  for _, id in ipairs(scheduled('ZRANGEBYSCORE', '-inf', now / 1000, oldest - listed)) do ids[#ids + 1] = id end
end
local leases, claim = {}, {token}

-- Leases a job, or discards a broken one; returns whether it did either, and whether another may follow.
local function take(id)
  if bytes >= max_bytes then return false, false end
  local f = read(id)
  local sound = not f.err and is_text(id)
  local crashes = sound and tonumber(f[3] or 0) or 0
  if crashes > 1 and not (alone and count == 0) then
    suspect = count == 0 and 1 or 0
    return false, false
  end
  local data, meta = data_of(id), prefix .. id
  if not data then
    if not f.err then redis.call('DEL', meta) end
    broken[#broken + 1] = id
  elseif not sound then
    bury(letters, KEYS[3], meta, id, is_text(id) and 'its metadata is not a hash' or 'its id is not text')
    broken[#broken + 1] = id
  else
    local before = f[4] and 1 or 0
    redis.call('HSET', meta, 'octavo:lease', token, 'status', 'Running', f[4] and 'octavo:last_claim' or 'octavo:claimed_at', now_text)
    f[4] = f[4] or now_text
    leases[#leases + 1], leases[#leases + 2] = lease_end, id
    claim[#claim + 1], claim[#claim + 2] = id, before
    add(id, data, f, before)
  end
  return true, crashes <= 1
end

local more = true
for _, id in ipairs(ids) do
  local took
  took, more = take(id)
  if took then taken = taken + 1 end
  if not more then break end
end
if listed > 0 and taken > 0 then redis.call('LTRIM', KEYS[1], string.format('%d', math.min(taken, listed)), '-1') end
if taken > listed then redis.call('ZREMRANGEBYRANK', KEYS[2], '0', string.format('%d', taken - listed - 1)) end
if more and newest > 0 then
  for _, id in ipairs(scheduled('ZREVRANGEBYSCORE', now / 1000, '-inf', newest)) do
    local took
    took, more = take(id)
    if took then redis.call('ZREM', KEYS[2], id) end
    if not more then break end
  end
end

if #broken > 0 then free(letters.all, KEYS[8], broken) end
if count > 0 then
  redis.call('ZADD', KEYS[4], unpack(leases))
  redis.call('SET', KEYS[5], cmsgpack.pack(claim), 'PX', lease_ms)
  return {jobs, broken, -1, now, 0}
end
local wait = -1
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if first[2] then wait = math.max(0, math.ceil(first[2] * 1000 - now)) end
if #broken > 0 then wait = 0 end
return {jobs, broken, wait, now, suspect}
