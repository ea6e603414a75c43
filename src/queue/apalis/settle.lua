-- Ends claims, and keeps outcomes in the same step.
-- KEYS  1 active (list)  2 scheduled (zset, seconds)  3 data (hash)  4 leases (zset, ms)
--       5 letters (zset, serial)  6 last serial
-- ARGV  1 prefix of meta hashes  2 prefix of where outcomes stand  3 the queue's name
--       4 to 9 of the log (append.lua): prefixes of entries, states, unheard; ms, bytes, epoch  10 channel  11 our process
--       12 prefix of letters  13 how long letters are kept, ms
--       then for each job: id, lease token, verdict, its argument, user or '', profile
--       verdict and argument: done, ''; retry, ms to wait and the error; bury, the reason; release, ''
-- Returns for each job {its place in the log, the place before, epoch}; {1, 0, ''} without an outcome, and {0, 0, ''} when
-- the lease is not ours (any more): then nothing was changed.

local prefix, outcomes, queue = ARGV[1], ARGV[2], ARGV[3]
local log = {
  entries = ARGV[4], state = ARGV[5], unheard = ARGV[6], ttl = tonumber(ARGV[7]), max = tonumber(ARGV[8]), epoch = ARGV[9],
}
local letters = {set = KEYS[5], last = KEYS[6], prefix = ARGV[12], ttl = ARGV[13]}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local settled = {}

for i = 14, #ARGV, 6 do
  local id, token, verdict, argument, user, profile = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  local meta = prefix .. id
  local result = {0, 0, ''}
  local ours = redis.pcall('HGET', meta, 'octavo:lease') == token
  if ours then
    redis.call('ZREM', KEYS[4], id)
    if verdict == 'done' then
      redis.call('HDEL', KEYS[3], id)
      redis.call('DEL', meta)
    else
      redis.call('HDEL', meta, 'octavo:lease')
      redis.call('HSET', meta, 'status', 'Pending')
    end
    if verdict == 'retry' or verdict == 'bury' then
      redis.call('HSET', meta, 'attempts', (tonumber(redis.call('HGET', meta, 'attempts')) or 0) + 1)
    end
    if verdict == 'retry' then
      local pause, why = argument:match('^(%d+) (.*)$')
      redis.call('HSET', meta, 'octavo:error', why)
      redis.call('ZADD', KEYS[2], (now + pause) / 1000, id)
    elseif verdict == 'bury' then
      bury(letters, KEYS[3], meta, id, argument)
    elseif verdict == 'release' then
      redis.call('LPUSH', KEYS[1], id)
    end
    result = {1, 0, ''}
    if user ~= '' then
      result = append(log, user, queue, id, profile)
      redis.call('SET', outcomes .. id, string.format('%.0f ', result[1]) .. user, 'PX', log.ttl)
    end
  end
  settled[#settled + 1] = result
end
tell(ARGV[10], ARGV[11])
return settled
