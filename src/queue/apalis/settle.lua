-- Ends claims, and keeps outcomes in the same step.
-- KEYS  1 active (list)  2 scheduled (zset, seconds)  3 data (hash)  4 leases (zset, ms)
--       5 letters (zset, serial)  6 last serial
-- ARGV  1 prefix of meta hashes  2 prefix of where outcomes stand  3 the queue's name
--       4 to 11 of the log (append.lua): prefixes of entries, states, unheard; ms, bytes, epoch, channel, our process
--       12 prefix of letters  13 how long letters are kept, ms
--       then for each job, at most 1,000: id, lease token, verdict, its argument, user or '', profile
--       verdict and argument: done, ''; retry, ms to wait and the error; bury, the reason; release, ''
-- Returns three for each job: its place in the log, the place before, epoch; 1, 0, '' without an outcome, and 0, 0, '' when
-- the lease is not ours (any more): then nothing was changed.

local prefix, places, queue = ARGV[1], ARGV[2], ARGV[3]
local log = {
  entries = ARGV[4], state = ARGV[5], unheard = ARGV[6], ttl = ARGV[7], max = tonumber(ARGV[8]), epoch = ARGV[9],
  channel = ARGV[10], process = ARGV[11],
}
local letters = {set = KEYS[5], last = KEYS[6], prefix = ARGV[12], ttl = ARGV[13]}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local settled, ours, done, metas, told = {}, {}, {}, {}, {}

-- Puts a job back, or buries it.
local function settle(id, verdict, argument)
  local meta = prefix .. id
  redis.call('HDEL', meta, 'octavo:lease')
  redis.call('HSET', meta, 'status', 'Pending')
  if verdict == 'release' then
    redis.call('LPUSH', KEYS[1], id)
    return
  end
  redis.call('HSET', meta, 'attempts', (tonumber(redis.call('HGET', meta, 'attempts')) or 0) + 1)
  if verdict == 'retry' then
    local pause, why = argument:match('^(%d+) (.*)$')
    redis.call('HSET', meta, 'octavo:error', why)
    redis.call('ZADD', KEYS[2], (now + pause) / 1000, id)
  else
    bury(letters, KEYS[3], meta, id, argument)
  end
end

local mine, count = {}, (#ARGV - 13) / 6
for n = 1, count do
  local i = n * 6 + 8
  local id = ARGV[i]
  settled[n * 3 - 2], settled[n * 3 - 1], settled[n * 3] = 0, 0, ''
  if not mine[id] and redis.pcall('HGET', prefix .. id, 'octavo:lease') == ARGV[i + 1] then
    mine[id] = n
    ours[#ours + 1] = id
    if ARGV[i + 2] == 'done' then
      done[#done + 1], metas[#metas + 1] = id, prefix .. id
    end
  end
end
if #ours > 0 then redis.call('ZREM', KEYS[4], unpack(ours)) end
if #done > 0 then
  redis.call('HDEL', KEYS[3], unpack(done))
  redis.call('DEL', unpack(metas))
end
for n = 1, count do
  local id, _, verdict, argument, user, profile = unpack(ARGV, n * 6 + 8, n * 6 + 13)
  if mine[id] == n then
    if verdict ~= 'done' then settle(id, verdict, argument) end
    settled[n * 3 - 2] = 1
    if user ~= '' then
      outcome(user, id, profile, n)
      told[#told + 1] = n
    end
  end
end
append(log, queue, time[1] * 1000000 + time[2], settled)
for _, n in ipairs(told) do
  redis.call('SET', places .. ARGV[n * 6 + 8], settled[n * 3 - 2] .. ' ' .. ARGV[n * 6 + 12], 'PX', log.ttl)
end
return settled
