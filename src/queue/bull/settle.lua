-- Ends claims: to completed, failed, delayed, or back to wait.
-- KEYS  1 wait (list)  2 active (list)  3 delayed (zset, ms * 4096)  4 priority (zset)  5 paused (list)
--       6 meta-paused  7 stalled (set)  8 completed (zset, ms)  9 failed (zset, ms)
--       10 letters (zset, serial)  11 last serial
-- ARGV  1 prefix of keys  2 the queue's name
--       3 to 8 of the log (append.lua): prefixes of entries, states, unheard; ms, bytes, epoch  9 channel  10 our process
--       11 prefix of letters  12 how long letters are kept, ms
--       then for each job: id, lock token, verdict, ms to wait before a retry, the outcome or the reason,
--       how many to keep or '', seconds to keep or '', LPUSH or RPUSH, user or '', profile
--       verdict: completed, failed, retry, release
-- Returns for each job {its place in the log, the place before, epoch}; {1, 0, ''} without an outcome, and {0, 0, ''} when
-- the lock is not ours (any more): then nothing was changed.
-- Publishes `completed`, `failed`, `delayed`, and `drained` when nothing waits or runs any more. Removes at most 100
-- jobs of those that are no longer kept at a time.

local prefix, queue = ARGV[1], ARGV[2]
local log = {
  entries = ARGV[3], state = ARGV[4], unheard = ARGV[5], ttl = tonumber(ARGV[6]), max = tonumber(ARGV[7]), epoch = ARGV[8],
}
local letters = {set = KEYS[10], last = KEYS[11], prefix = ARGV[11], ttl = ARGV[12]}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local settled, worked = {}, false

local function remove(id)
  redis.call('DEL', prefix .. id, prefix .. id .. ':logs')
end

local function trim(set, ids)
  for _, id in ipairs(ids) do
    redis.call('ZREM', set, id)
    remove(id)
  end
end

-- Puts a job back where it is claimed from; `push` says at which end.
local function wait(id, push)
  local list = redis.call('EXISTS', KEYS[6]) == 1 and KEYS[5] or KEYS[1]
  local priority = tonumber(redis.call('HGET', prefix .. id, 'priority')) or 0
  if push == 'LPUSH' and priority ~= 0 and priority == priority then
    redis.call('ZADD', KEYS[4], priority, id)
    local ahead = redis.call('ZCOUNT', KEYS[4], 0, priority) - 1
    local before = redis.call('LINDEX', list, redis.call('LLEN', list) - ahead)
    if before then
      redis.call('LINSERT', list, 'BEFORE', before, id)
    else
      redis.call('RPUSH', list, id)
    end
  else
    redis.call(push, list, id)
  end
end

-- What stands there as JSON, if it is an object or a list.
local function decode(json)
  local ok, value = pcall(cjson.decode, json or '')
  return ok and type(value) == 'table' and value or {}
end

-- Notes a failed attempt; of the traces, the newest are kept.
local function failed(key, reason)
  local f = redis.call('HMGET', key, 'stacktrace', 'opts')
  local traces, limit = {}, tonumber(decode(f[2]).stackTraceLimit) or 0
  for _, trace in ipairs(decode(f[1])) do
    if type(trace) == 'string' then traces[#traces + 1] = trace end
  end
  traces[#traces + 1] = reason
  while #traces > (limit > 0 and limit or 100) do table.remove(traces, 1) end
  -- Fails when what stands there is no number.
  if type(redis.pcall('HINCRBY', key, 'attemptsMade', 1)) == 'table' then
    redis.call('HSET', key, 'attemptsMade', 1)
  end
  redis.call('HSET', key, 'failedReason', reason, 'stacktrace', cjson.encode(traces))
end

local function finish(id, event, set, field, value, count, age)
  local key = prefix .. id
  local debounce = redis.call('HGET', key, 'deid')
  if debounce and redis.call('PTTL', prefix .. 'de:' .. debounce) == -1 then
    redis.call('DEL', prefix .. 'de:' .. debounce)
  end
  if count == '0' then
    remove(id)
  else
    redis.call('ZADD', set, now, id)
    redis.call('HSET', key, field, value, 'finishedOn', now)
    if age ~= '' then
      trim(set, redis.call('ZRANGEBYSCORE', set, '-inf', now - age * 1000, 'LIMIT', 0, 100))
    end
    if count ~= '' then
      local over = redis.call('ZCARD', set) - count
      if over > 0 then trim(set, redis.call('ZRANGE', set, 0, math.min(over, 100) - 1)) end
    end
  end
  redis.call('PUBLISH', prefix .. event, cjson.encode({jobId = id, val = value}))
end

for i = 13, #ARGV, 10 do
  local id, token, verdict, pause, value = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]), ARGV[i + 4]
  local count, age, push = ARGV[i + 5], ARGV[i + 6], ARGV[i + 7]
  local user, profile = ARGV[i + 8], ARGV[i + 9]
  local key, result = prefix .. id, {0, 0, ''}
  local ours = redis.call('GET', key .. ':lock') == token
  if ours then
    redis.call('DEL', key .. ':lock')
    redis.call('SREM', KEYS[7], id)
    -- Gone from active, or from Redis, means removed by hand: there is nothing left to settle.
    ours = redis.call('LREM', KEYS[2], -1, id) > 0 and redis.call('TYPE', key).ok == 'hash'
  end
  if ours then
    worked = worked or verdict ~= 'release'
    if verdict == 'completed' then
      finish(id, 'completed', KEYS[8], 'returnvalue', value, count, age)
    elseif verdict == 'failed' then
      bury(letters, key, id, value)
      failed(key, value)
      finish(id, 'failed', KEYS[9], 'failedReason', value, count, age)
    elseif verdict == 'retry' then
      failed(key, value)
      if pause > 0 then
        local due = now + pause
        local order = #id < 16 and id:match('^%d+$') or 0
        redis.call('ZADD', KEYS[3], string.format('%.0f', due * 4096 + order % 4096), id)
        redis.call('PUBLISH', KEYS[3], string.format('%.0f', due))
      else
        wait(id, push)
      end
    else
      wait(id, 'RPUSH')
    end
  end
  if ours then result = user ~= '' and append(log, user, queue, id, profile) or {1, 0, ''} end
  settled[#settled + 1] = result
end
tell(ARGV[9], ARGV[10])
if worked and redis.call('LLEN', KEYS[1]) == 0 and redis.call('LLEN', KEYS[2]) == 0 then
  redis.call('PUBLISH', prefix .. 'drained', '')
end
return settled
