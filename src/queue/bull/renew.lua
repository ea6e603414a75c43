-- Prolongs locks.
-- KEYS  1 stalled (set)
-- ARGV  1 prefix of keys  2 lock, ms, then for each job: id, lock token
-- Returns for each job 1, or 0 when the lock is not ours (any more).

local renewed = {}
for i = 3, #ARGV, 2 do
  local lock = ARGV[1] .. ARGV[i] .. ':lock'
  local ours = redis.call('GET', lock) == ARGV[i + 1]
  if ours then
    redis.call('PEXPIRE', lock, ARGV[2])
    redis.call('SREM', KEYS[1], ARGV[i])
  end
  renewed[#renewed + 1] = ours and 1 or 0
end
return renewed
