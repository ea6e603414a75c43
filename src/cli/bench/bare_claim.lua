-- Claims up to ARGV[2] Bull jobs and does nothing else: the least that any worker must do.
-- KEYS  1 wait  2 active
-- ARGV  1 prefix of keys  2 how many  3 lock token  4 lock, ms
-- Returns {id, data, …}

local jobs = {}
for _ = 1, tonumber(ARGV[2]) do
  local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
  if not id then break end
  redis.call('SET', ARGV[1] .. id .. ':lock', ARGV[3], 'PX', ARGV[4])
  jobs[#jobs + 1] = id
  jobs[#jobs + 1] = redis.call('HGET', ARGV[1] .. id, 'data')
end
return jobs
