-- Ends claims: moves jobs to completed, failed or delayed, or back to wait.
-- KEYS  1 wait (list)  2 active (list)  3 delayed (zset, ms * 4096)  4 priority (zset)  5 paused (list)
--       6 meta-paused  7 stalled (set)  8 completed (zset, ms)  9 failed (zset, ms)
--       10 letters (zset, serial)  11 last serial
-- ARGV  1 prefix of keys  2 the queue's name
--       3 to 11 for the log (append.lua): prefixes of entries, states, unheard; ms, bytes, epoch, channel, our process, bytes
--       of all users
--       12 to 16 for letters (letters_at)
--       then for each job, at most 1,000: id, lock token, verdict, the value returned or the reason, user or '', what the
--       user is told or '' if that is the value
--       verdict: `removed`, for completed, not kept and never debounced; `completed N/S`, `failed N/S`, and `refused N/S`, for
--       failed without a letter, with how many to keep and for how many seconds, or nothing for no limit; `retry MS/PUSH`,
--       with ms to wait, and LPUSH or RPUSH; `release`; `postpone MS`
-- Returns three values for each job: its place in the log, the place before, epoch; 1, 0, '' without an outcome; and
-- 0, 0, '' if the lock is not ours (any more): then nothing is changed. Then what to warn of: see `warnings`.
-- Publishes `completed` and `failed` if somebody may hear it or there are few jobs; `delayed`; and `drained` when nothing
-- waits or runs any more. For each job, removes up to 100 of those that are too old to keep, and 100 of those too many.
-- The first write frees memory: a full Redis refuses a script only at its first write, so none breaks off halfway.

local prefix, queue = ARGV[1], ARGV[2]
local log = {
  entries = ARGV[3], state = ARGV[4], unheard = ARGV[5], ttl = ARGV[6], max = tonumber(ARGV[7]), epoch = ARGV[8],
  channel = ARGV[9], process = ARGV[10], total = tonumber(ARGV[11]),
}
local letters = letters_at(KEYS[10], KEYS[11], 12)
local kinds, spoilt = types({
  'list', 'list', 'zset', 'zset', 'list', 'string', 'set', 'zset', 'zset', 'zset', 'string',
})
if spoilt then return spoilt end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%d', now)
local settled, worked = {}, false
local gone, ended = {}, {}

-- Puts a job back where it is claimed from; `push` says at which end.
local function wait(id, push)
  local list = kinds[6] == 'string' and KEYS[5] or KEYS[1]
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

-- The value of `json` if it is an object or a list, or else an empty table.
local function decode(json)
  local ok, value = pcall(cjson.decode, json or '')
  return ok and type(value) == 'table' and value or {}
end

-- Notes a failed attempt; the newest traces are kept.
local function failed(key, reason)
  local f = redis.call('HMGET', key, 'stacktrace', 'opts')
  local before, traces, limit = decode(f[1]), {}, tonumber(decode(f[2]).stackTraceLimit) or 0
  limit = limit > 0 and math.ceil(limit) or 100
  for n = math.max(1, #before - limit + 2), #before do
    if type(before[n]) == 'string' then traces[#traces + 1] = before[n] end
  end
  traces[#traces + 1] = reason
  -- Fails if the current value is not a number.
  if type(redis.pcall('HINCRBY', key, 'attemptsMade', 1)) == 'table' then
    redis.call('HSET', key, 'attemptsMade', 1)
  end
  redis.call('HSET', key, 'failedReason', reason, 'stacktrace', cjson.encode(traces))
end

local publishes = heard((#ARGV - 16) / 6, prefix .. 'completed', prefix .. 'failed')

local function tell(event, id, value)
  if publishes then
    redis.call('PUBLISH', prefix .. event, '{"jobId":' .. cjson.encode(id) .. ',"val":' .. cjson.encode(value) .. '}')
  end
end

-- `keep` says how many are kept, and for how many seconds: `N/S`.
local function finish(id, event, set, field, value, keep, debounce)
  local key = prefix .. id
  if debounce and redis.call('PTTL', prefix .. 'de:' .. debounce) == -1 then
    redis.call('DEL', prefix .. 'de:' .. debounce)
  end
  if keep == '0/' then
    gone[#gone + 1], gone[#gone + 2] = key, key .. ':logs'
  else
    redis.call('HSET', key, field, value, 'finishedOn', now_text)
    local kept = ended[set .. keep] or {set = set, keep = keep, jobs = {}}
    ended[set .. keep] = kept
    table.insert(kept.jobs, now_text)
    table.insert(kept.jobs, id)
  end
  tell(event, id, value)
end

-- Removes ended jobs; returns whether there were any.
local function remove(set, ids)
  local keys = {}
  for _, id in ipairs(ids) do
    keys[#keys + 1], keys[#keys + 2] = prefix .. id, prefix .. id .. ':logs'
  end
  if #ids > 0 then
    redis.call('ZREM', set, unpack(ids))
    redis.call('DEL', unpack(keys))
  end
  return #ids > 0
end

-- Removes those that are no longer kept, up to 100 for each reason; returns whether there may be more.
local function trim(set, keep)
  local count, age, more = keep:match('^(%d*)/(%d*)$')
  if age ~= '' then
    more = remove(set, redis.call('ZRANGEBYSCORE', set, '-inf', now - age * 1000, 'LIMIT', 0, 100))
  end
  local over = count ~= '' and redis.call('ZCARD', set) - count or 0
  return over > 0 and remove(set, redis.call('ZRANGE', set, 0, math.min(over, 100) - 1)) or more
end

-- Puts a job among the delayed ones, for a time in ms.
local function delay(id, pause)
  local due, order = now + pause, #id < 16 and id:match('^%d+$') or 0
  redis.call('ZADD', KEYS[3], string.format('%.0f', due * 4096 + order % 4096), id)
  redis.call('PUBLISH', KEYS[3], string.format('%.0f', due))
end

local function settle(id, verdict, value, user)
  if verdict == 'removed' then return finish(id, 'completed', KEYS[8], 'returnvalue', value, '0/') end
  local what, how = verdict:match('^(%a+) ?(.*)$')
  local debounce = redis.call('HGET', prefix .. id, 'deid')
  if what == 'completed' then
    finish(id, what, KEYS[8], 'returnvalue', value, how, debounce)
  elseif what == 'failed' or what == 'refused' then
    if what == 'failed' then bury(letters, prefix .. id, id, value, user) end
    failed(prefix .. id, value)
    finish(id, 'failed', KEYS[9], 'failedReason', value, how, debounce)
  elseif what == 'retry' then
    local pause, push = how:match('^(%d+)/(.*)$')
    failed(prefix .. id, value)
    if pause == '0' then
      wait(id, push)
    else
      delay(id, pause)
    end
  elseif what == 'postpone' then
    delay(id, how)
  else
    wait(id, 'RPUSH')
  end
end

-- Takes these out of active, whose oldest ones, and so ours, are at its end; returns those that were there.
local function take(ids)
  local wanted, taken, left = {}, {}, {}
  for _, id in ipairs(ids) do wanted[id] = true end
  local last = redis.call('LRANGE', KEYS[2], string.format('%d', -4 * #ids), '-1')
  for _, id in ipairs(last) do
    if wanted[id] and not taken[id] then
      taken[id] = true
    else
      left[#left + 1] = id
    end
  end
  if #left < #last then
    redis.call('LTRIM', KEYS[2], '0', string.format('-%d', #last + 1))
    if #left > 0 then redis.call('RPUSH', KEYS[2], unpack(left)) end
  end
  for _, id in ipairs(ids) do
    taken[id] = taken[id] or redis.call('LREM', KEYS[2], '-1', id) == 1
  end
  return taken
end

local locks, unlocked, ours = {}, {}, {}
for i = 17, #ARGV, 6 do locks[#locks + 1] = prefix .. ARGV[i] .. ':lock' end
local holders = redis.call('MGET', unpack(locks))
for n, holder in ipairs(holders) do
  if holder == ARGV[n * 6 + 12] then
    unlocked[#unlocked + 1], ours[#ours + 1] = locks[n], ARGV[n * 6 + 11]
  end
end
local active, all = {}, false
if #ours > 0 then
  redis.call('DEL', unpack(unlocked))
  redis.call('SREM', KEYS[7], unpack(ours))
  if kinds[2] == 'none' then
    -- Somebody removed the whole list, which lists what we hold: the locks say whose the jobs are.
    for _, id in ipairs(ours) do active[id] = true end
  else
    active = take(ours)
  end
  local keys = {}
  for n, id in ipairs(ours) do keys[n] = prefix .. id end
  all = redis.call('EXISTS', unpack(keys)) == #keys
end

for n = 1, #locks do
  local id, token, verdict, value, user, told = unpack(ARGV, n * 6 + 11, n * 6 + 16)
  settled[n * 3 - 2], settled[n * 3 - 1], settled[n * 3] = 0, 0, ''
  -- A job that is gone from active, or from Redis, was removed by hand: there is nothing left to settle.
  -- A number is one of Bull's own ids, which never come again; under any other, a new job may have been added since, which
  -- has not begun then.
  local there = verdict == 'removed' and all and not id:find('%D')
    or redis.pcall('HEXISTS', prefix .. id, 'processedOn') == 1
  if there and active[id] and holders[n] == token then
    active[id] = nil
    worked = worked or verdict ~= 'release' and not verdict:find('^postpone')
    settle(id, verdict, value, user)
    settled[n * 3 - 2] = 1
    if user ~= '' then outcome(user, id, told ~= '' and told or value, n) end
  end
end
if #gone > 0 then redis.call('DEL', unpack(gone)) end
for _, kept in pairs(ended) do
  redis.call('ZADD', kept.set, unpack(kept.jobs))
  for _ = 2, #kept.jobs, 2 do
    if not trim(kept.set, kept.keep) then break end
  end
end
append(log, queue, time[1] * 1000000 + time[2], settled)
if worked and redis.call('LLEN', KEYS[1]) == 0 and redis.call('LLEN', KEYS[2]) == 0 then
  redis.call('PUBLISH', prefix .. 'drained', '')
end
warnings(settled)
return settled
