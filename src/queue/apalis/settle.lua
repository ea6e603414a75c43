-- Ends claims, and logs their outcomes in the same step.
-- KEYS  1 active (list)  2 scheduled (zset, seconds)  3 data (hash)  4 leases (zset, ms)
--       5 places of outcomes by job id, `<place> <user>` (hash)  6 the hash that it replaced  7 since when 5 has been
--       written to, ms: after as long as an outcome is kept, it becomes 6, so that no place is lost before its time
--       8 letters (zset, serial)  9 last serial  10 what counts for users (hash, by job id)
-- ARGV  1 prefix of meta hashes  2 the queue's name
--       3 to 11 for the log (append.lua): prefixes of entries, states, unheard; ms, bytes, epoch, channel, our process, bytes
--       of all users
--       12 to 16 for letters (letters_at)
--       then for each job, at most 1,000: id, lease token, verdict, its argument, user or '', profile
--       verdict and argument: done, ''; retry, ms to wait and the error; bury, the reason; release, ''; postpone, ms
-- Returns three values for each job: its place in the log, the place before, epoch; 1, 0, '' without an outcome; and
-- 0, 0, '' if the lease is not ours (any more): then nothing is changed. Then what to warn of: see `warnings`.

local prefix, queue = ARGV[1], ARGV[2]
local log = {
  entries = ARGV[3], state = ARGV[4], unheard = ARGV[5], ttl = ARGV[6], max = tonumber(ARGV[7]), epoch = ARGV[8],
  channel = ARGV[9], process = ARGV[10], total = tonumber(ARGV[11]),
}
local letters = letters_at(KEYS[8], KEYS[9], 12)
local kinds, spoilt = types({'list', 'zset', 'hash', 'zset', 'hash', 'hash', 'string', 'zset', 'string', 'hash'})
if spoilt then return spoilt end
-- Whether any job of this queue counts for its user.
local counted = kinds[10] == 'hash'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local settled, ours, done, metas, told, left = {}, {}, {}, {}, {}, {}

-- Puts a job back, or buries it.
local function settle(id, verdict, argument, user)
  local meta = prefix .. id
  redis.call('HDEL', meta, 'octavo:lease')
  redis.call('HSET', meta, 'status', 'Pending')
  if verdict == 'release' then
    redis.call('LPUSH', KEYS[1], id)
    return
  end
  if verdict == 'postpone' then
    redis.call('ZADD', KEYS[2], (now + argument) / 1000, id)
    return
  end
  redis.call('HSET', meta, 'attempts', (tonumber(redis.call('HGET', meta, 'attempts')) or 0) + 1)
  if verdict == 'retry' then
    local pause, why = argument:match('^(%d+) (.*)$')
    redis.call('HSET', meta, 'octavo:error', why)
    redis.call('ZADD', KEYS[2], (now + pause) / 1000, id)
  else
    bury(letters, KEYS[3], meta, id, argument, user ~= '' and user or nil)
  end
end

local mine, count = {}, (#ARGV - 16) / 6
for n = 1, count do
  local i = n * 6 + 11
  local id = ARGV[i]
  settled[n * 3 - 2], settled[n * 3 - 1], settled[n * 3] = 0, 0, ''
  if not mine[id] and redis.pcall('HGET', prefix .. id, 'octavo:lease') == ARGV[i + 1] then
    mine[id] = n
    ours[#ours + 1] = id
    if ARGV[i + 2] == 'done' then
      done[#done + 1], metas[#metas + 1] = id, prefix .. id
    end
    if counted and (ARGV[i + 2] == 'done' or ARGV[i + 2] == 'bury') then left[#left + 1] = id end
  end
end
if #ours > 0 then redis.call('ZREM', KEYS[4], unpack(ours)) end
if #done > 0 then
  redis.call('HDEL', KEYS[3], unpack(done))
  redis.call('DEL', unpack(metas))
end
for n = 1, count do
  local id, _, verdict, argument, user, profile = unpack(ARGV, n * 6 + 11, n * 6 + 16)
  if mine[id] == n then
    if verdict ~= 'done' then settle(id, verdict, argument, user) end
    settled[n * 3 - 2] = 1
    if user ~= '' then
      outcome(user, id, profile, n)
      told[#told + 1] = n
    end
  end
end
append(log, queue, time[1] * 1000000 + time[2], settled)
if #told > 0 then
  local since = tonumber(redis.call('GET', KEYS[7]) or nil)
  if not since or now - since > tonumber(log.ttl) then
    redis.call('UNLINK', KEYS[6])
    if redis.call('EXISTS', KEYS[5]) == 1 then redis.call('RENAME', KEYS[5], KEYS[6]) end
    redis.call('SET', KEYS[7], string.format('%d', now), 'PX', 3 * log.ttl)
  end
  local places = {}
  for _, n in ipairs(told) do
    local i = n * 6 + 11
    places[#places + 1] = ARGV[i]
    places[#places + 1] = string.format('%d', settled[n * 3 - 2]) .. ' ' .. ARGV[i + 4]
  end
  redis.call('HSET', KEYS[5], unpack(places))
  redis.call('PEXPIRE', KEYS[5], 3 * log.ttl)
end
if #left > 0 then free(letters.all, KEYS[10], left) end
warnings(settled)
return settled
