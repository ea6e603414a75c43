-- Ends claims, and keeps outcomes in the same step.
-- KEYS  1 active (list)  2 scheduled (zset, seconds)  3 data (hash)  4 leases (zset, ms)  5 dead (set)
-- ARGV  1 prefix of meta hashes  2 prefix of outcomes  3 how long outcomes are kept, ms
--       4 prefix of lists of large outcomes
--       then for each job: id, lease token, verdict, its argument, user or '', profile
--       verdict and argument: done, ''; retry, ms to wait; bury, the reason; release, ''
-- Returns for each job 1, or 0 when the lease is not ours (any more): then nothing was changed.
-- Of large outcomes, those of reads, only the last few of each user are kept.

local prefix, outcomes, ttl, large = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local LARGE_BYTES, LARGE_KEPT = 16384, 4
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local settled = {}

local function keep(id, user, profile)
  redis.call('HSET', outcomes .. id, 'user', user, 'profile', profile)
  redis.call('PEXPIRE', outcomes .. id, ttl)
  if #profile > LARGE_BYTES then
    local list = large .. user
    if redis.call('RPUSH', list, id) > LARGE_KEPT then
      redis.call('DEL', outcomes .. redis.call('LPOP', list))
    end
    redis.call('PEXPIRE', list, ttl)
  end
end

for i = 5, #ARGV, 6 do
  local id, token, verdict, argument, user, profile = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  local meta = prefix .. id
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
      redis.call('ZADD', KEYS[2], (now + argument) / 1000, id)
    elseif verdict == 'bury' then
      redis.call('HSET', meta, 'status', 'Killed', 'octavo:reason', argument, 'done_at', math.floor(now / 1000))
      redis.call('SADD', KEYS[5], id)
    elseif verdict == 'release' then
      redis.call('LPUSH', KEYS[1], id)
    end
    if user ~= '' then keep(id, user, profile) end
  end
  settled[#settled + 1] = ours and 1 or 0
end
return settled
