-- Renews locks. One that has expired, because Redis was away for long, is taken again if nobody else has the job.
-- KEYS  1 stalled (set)
-- ARGV  1 prefix of keys  2 lock, ms, then for each job: id, lock token
-- Returns 1 for each job, or 0 if the lock is not ours (any more).
-- The first write frees memory: a full Redis refuses a script only at its first write.

local _, spoilt = types({'set'})
if spoilt then return spoilt end
local renewed = {}
for i = 3, #ARGV, 2 do
  local lock = ARGV[1] .. ARGV[i] .. ':lock'
  local holder = redis.pcall('GET', lock)
  if type(holder) == 'table' then holder = false end
  -- If the job is waiting again, the lock ends when it expires, or with the next claim.
  local ours = holder == ARGV[i + 1] or not holder and redis.call('TYPE', ARGV[1] .. ARGV[i]).ok == 'hash'
  if ours then
    redis.call('SREM', KEYS[1], ARGV[i])
    redis.call('SET', lock, ARGV[i + 1], 'PX', ARGV[2])
  end
  renewed[#renewed + 1] = ours and 1 or 0
end
return renewed
