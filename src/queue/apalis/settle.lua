-- Ends claims, and keeps outcomes in the same step.
-- KEYS  1 active (list)  2 scheduled (zset, seconds)  3 data (hash)  4 leases (zset, ms)  5 dead (set)
-- ARGV  1 prefix of meta hashes  2 prefix of outcomes  3 how long outcomes are kept, ms
--       then for each job: id, lease token, verdict, its argument, user or '', profile
--       verdict and argument: done, ''; retry, ms to wait; bury, the reason; release, ''
-- Returns for each job 1, or 0 when the lease is not ours (any more): then nothing was changed.

local prefix, outcomes, ttl = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local settled = {}

for i = 4, #ARGV, 6 do
  local id, token, verdict, argument, user, profile = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  local meta = prefix .. id
  if redis.call('HGET', meta, 'lease') ~= token then
    settled[#settled + 1] = 0
  else
    redis.call('ZREM', KEYS[4], id)
    if verdict == 'done' then
      redis.call('HDEL', KEYS[3], id)
      redis.call('DEL', meta)
    elseif verdict == 'retry' then
      redis.call('HDEL', meta, 'lease')
      redis.call('HINCRBY', meta, 'attempts', 1)
      redis.call('HSET', meta, 'status', 'Pending')
      redis.call('ZADD', KEYS[2], (now + argument) / 1000, id)
    elseif verdict == 'bury' then
      redis.call('HDEL', meta, 'lease')
      redis.call('HINCRBY', meta, 'attempts', 1)
      redis.call('HSET', meta, 'status', 'Killed', 'reason', argument, 'done_at', math.floor(now / 1000))
      redis.call('SADD', KEYS[5], id)
    else
      redis.call('HDEL', meta, 'lease')
      redis.call('HSET', meta, 'status', 'Pending')
      redis.call('LPUSH', KEYS[1], id)
    end
    if user ~= '' then
      local key = outcomes .. id
      redis.call('HSET', key, 'user', user, 'profile', profile)
      redis.call('PEXPIRE', key, ttl)
    end
    settled[#settled + 1] = 1
  end
end
return settled
