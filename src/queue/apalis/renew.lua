-- Renews leases.
-- KEYS  1 leases (zset, ms)
-- ARGV  1 prefix of meta hashes  2 lease, ms, then for each job: id, lease token
-- Returns 1 for each job, or 0 if the lease is not ours (any more).
-- Begins with a write that changes nothing: a full Redis refuses a script only at its first write, and only if that may
-- need memory; and another node takes back what is not renewed.

local _, spoilt = types({'zset'})
if spoilt then return spoilt end
redis.call('ZREMRANGEBYRANK', KEYS[1], '1', '0')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local renewed = {}
for i = 3, #ARGV, 2 do
  local ours = redis.pcall('HGET', ARGV[1] .. ARGV[i], 'octavo:lease') == ARGV[i + 1]
  if ours then redis.call('ZADD', KEYS[1], 'XX', now + ARGV[2], ARGV[i]) end
  renewed[#renewed + 1] = ours and 1 or 0
end
return renewed
