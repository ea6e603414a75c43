-- Prolongs locks. One that has run out, because Redis was away for long, is taken again if nobody else has the job.
-- KEYS  1 stalled (set)
-- ARGV  1 prefix of keys  2 lock, ms, then for each job: id, lock token
-- Returns for each job 1, or 0 when the lock is not ours (any more).

local renewed = {}
for i = 3, #ARGV, 2 do
  local lock = ARGV[1] .. ARGV[i] .. ':lock'
  local holder = redis.call('GET', lock)
  -- Should the job be waiting again, the lock ends with its time, or with the next claim.
  local ours = holder == ARGV[i + 1] or not holder and redis.call('TYPE', ARGV[1] .. ARGV[i]).ok == 'hash'
  if ours then
    redis.call('SET', lock, ARGV[i + 1], 'PX', ARGV[2])
    redis.call('SREM', KEYS[1], ARGV[i])
  end
  renewed[#renewed + 1] = ours and 1 or 0
end
return renewed
