-- Locks jobs that are due, up to a given number.
-- KEYS  1 wait (list)  2 active (list)  3 delayed (zset, ms * 4096)  4 priority (zset)  5 paused (list)
--       6 meta-paused
--       7 our last claim (packed: its token, then ids, each with 1 if claimed before, or 0; kept as long as the lock)
--       8 letters (zset, serial)  9 completed (zset)  10 failed (zset)  11 stalled (set)  12 stalled-check  13 repeat (zset)
--       14 limiter
-- ARGV  1 lock token  2 the most jobs, up to 1,000  3 the most bytes of data  4 lock, ms
--       5 prefix of keys  6 how many of the jobs are the newest, if more than twice as many wait and none has a priority
--       7 1 if nothing else runs in our process  8 prefix of letters  9 1 to leave out the data, because it is long
-- Returns {jobs, broken ids, ms until the next job is due or -1, now in ms, 1 if a suspect is next,
--       1 if the queue is paused}; a job is eight values:
--       data, opts, attemptsMade, timestamp, stalledCounter, something if it was claimed before, retriedOn, id
-- A job whose id is the name of what Bull keeps there would block the whole queue: it is what is moved out of the way.
-- A suspect, a job that may have killed two processes, is claimed only alone.
-- Publishes `waiting@` for delayed jobs that fell due, and `active` if somebody may hear it or there are few jobs.
-- The cost grows with the number claimed, never with the backlog, except for jobs with a delay and a priority: their
-- place in the list is searched for. Called again with the same token, because the answer was lost, it returns the same
-- jobs. The first write frees memory: a full Redis refuses a script only at its first write.

local token, max, max_bytes, lock_ms, prefix = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local alone, long = ARGV[7] == '1', ARGV[9] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%d', now)
local jobs, count, broken, bytes = {}, 0, {}, 0

-- The fields of a job, or nil if there is no such job. Lua hashes every byte of a string that it is given, so of long
-- data it gets the length alone.
local function read(id)
  local key = prefix .. id
  local f = redis.pcall('HMGET', key, long and 'delay' or 'data', 'opts', 'attemptsMade', 'timestamp', 'stalledCounter',
    'processedOn', 'retriedOn')
  if f.err then return nil end
  if long then f[1] = redis.call('HEXISTS', key, 'data') == 1 and redis.call('HSTRLEN', key, 'data') end
  if f[1] or f[2] or f[4] then return f end
end

local function add(id, f)
  bytes = bytes + (long and (f[1] or 0) or #(f[1] or '')) + #(f[2] or '')
  local n = count * 8
  jobs[n + 1], jobs[n + 2], jobs[n + 3], jobs[n + 4] = not long and f[1], f[2], f[3], f[4]
  jobs[n + 5], jobs[n + 6], jobs[n + 7], jobs[n + 8] = f[5], f[6], f[7], id
  count = count + 1
end

local kinds, spoilt = types({
  'list', 'list', 'zset', 'zset', 'list', 'string', 'string', 'zset', 'zset', 'zset', 'set', 'string', 'zset', 'string',
})
if spoilt then return spoilt end
local paused = kinds[6] ~= 'none'
local known, given = pcall(cmsgpack.unpack, redis.call('GET', KEYS[7]) or '')
given = known and type(given) == 'table' and given or {}
if given[1] == token then
  for i = 2, #given, 2 do
    local id = given[i]
    local f = redis.pcall('GET', prefix .. id .. ':lock') == token and read(id)
    if f then
      f[6] = given[i + 1] == 1 and f[6]
      add(id, f)
    end
  end
  return {jobs, broken, -1, now, 0, 0}
end
redis.call('DEL', KEYS[7])
if kinds[5] == 'list' and not paused then
  -- They were added while the queue seemed to be paused; up to 1,000 at a time go behind those that wait.
  local put_off = redis.call('LRANGE', KEYS[5], '-1000', '-1')
  redis.call('LTRIM', KEYS[5], '0', '-1001')
  for n = #put_off, 1, -1 do redis.call('LPUSH', KEYS[1], put_off[n]) end
end

local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%d', now * 4096 + 4095), 'LIMIT', '0', ARGV[2])
if #due > 0 then
  local list = paused and KEYS[5] or KEYS[1]
  redis.call('ZREM', KEYS[3], unpack(due))
  for _, id in ipairs(due) do
    local priority = redis.pcall('HGET', prefix .. id, 'priority')
    priority = tonumber(type(priority) == 'string' and priority or 0) or 0
    if not read(id) then
      broken[#broken + 1] = id
    else
      local before
      -- As in Bull, a priority below 0 goes to the very front. NaN counts as none.
      if priority ~= priority then priority = 0 end
      if priority ~= 0 then
        redis.call('ZADD', KEYS[4], priority, id)
        -- Those of the same or a higher priority stand behind it in the list, and are claimed first.
        local ahead = redis.call('ZCOUNT', KEYS[4], 0, priority) - 1
        before = redis.call('LINDEX', list, redis.call('LLEN', list) - ahead)
        if not before then redis.call('RPUSH', list, id) end
      end
      if before then
        redis.call('LINSERT', list, 'BEFORE', before, id)
      elseif priority == 0 then
        redis.call('LPUSH', list, id)
      end
      redis.call('HSET', prefix .. id, 'delay', 0)
      redis.call('PUBLISH', KEYS[1] .. 'ing@' .. token, id)
    end
  end
end

local share = tonumber(ARGV[6])
if redis.call('LLEN', KEYS[1]) <= 2 * max or redis.call('EXISTS', KEYS[4]) == 1 then share = 0 end
local waiting = share < max and redis.call('LRANGE', KEYS[1], string.format('%d', share - max), '-1') or {}
local publishes = heard(#waiting, KEYS[2])
local suspect = 0
local ids, active, claim = {}, {}, {token}

-- Locks a job, or discards a broken one; returns whether it did either, and whether another may follow.
local function take(id)
  if bytes >= max_bytes or #broken >= max then return false, false end
  local f = is_text(id) and read(id)
  local crashes = f and tonumber(f[5]) or 0
  if crashes > 1 and not (alone and count == 0) then
    suspect = count == 0 and 1 or 0
    return false, false
  end
  ids[#ids + 1] = id
  if not f then
    broken[#broken + 1] = id
  else
    local key, before = prefix .. id, f[6] and 1 or 0
    redis.call('SET', key .. ':lock', token, 'PX', lock_ms)
    if f[4] then
      redis.call('HSET', key, 'processedOn', now_text)
    else
      redis.call('HSET', key, 'processedOn', now_text, 'timestamp', now_text)
    end
    if publishes then redis.call('PUBLISH', KEYS[2], id) end
    -- It was redriven, perhaps in Bull: then its dead letter is from an earlier run.
    if f[7] and redis.call('ZREM', KEYS[8], id) == 1 then redis.call('DEL', ARGV[8] .. id) end
    active[#active + 1], claim[#claim + 1], claim[#claim + 2] = id, id, before
    f[4] = f[4] or now_text
    add(id, f)
  end
  return true, crashes <= 1
end

local oldest, newest, took, more = 0, 0, nil, true
for n = #waiting, 1, -1 do
  took, more = take(waiting[n])
  if took then oldest = oldest + 1 end
  if not more then break end
end
if more and share > 0 then
  for _, id in ipairs(redis.call('LRANGE', KEYS[1], '0', string.format('%d', share - 1))) do
    took, more = take(id)
    if took then newest = newest + 1 end
    if not more then break end
  end
end
if #ids > 0 then
  redis.call('LTRIM', KEYS[1], string.format('%d', newest), string.format('-%d', oldest + 1))
  redis.call('ZREM', KEYS[4], unpack(ids))
end

if count > 0 then
  redis.call('LPUSH', KEYS[2], unpack(active))
  redis.call('SET', KEYS[7], cmsgpack.pack(claim), 'PX', lock_ms)
  return {jobs, broken, -1, now, 0, paused and 1 or 0}
end
local wait = -1
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if first[2] then wait = math.max(0, math.floor(first[2] / 4096) - now) end
if #broken > 0 then wait = 0 end
return {jobs, broken, wait, now, suspect, paused and 1 or 0}
