-- Takes back stalled jobs: those that were active at the last check, and have no lock now.
-- KEYS  1 stalled (set)  2 wait (list)  3 active (list)  4 stalled-check  5 meta-paused  6 paused (list)
-- ARGV  1 prefix of keys  2 ms until the next check
-- Returns how many. Publishes `stalled@`. Does nothing if another worker has checked recently: the workers of one queue,
-- Bull's among them, share `stalled-check`. The cost grows with the number of active jobs.
-- A lock that is no text is none.
-- Begins with a write that changes nothing: a full Redis refuses a script only at its first write, if that may need memory.

local kinds, spoilt = types({'set', 'list', 'list', 'string', 'string', 'list'})
if spoilt then return spoilt end
redis.call('SREM', KEYS[1], '')
-- Nobody would ever check again.
if kinds[4] == 'string' and redis.call('PTTL', KEYS[4]) == -1 then redis.call('DEL', KEYS[4]) end
if not redis.call('SET', KEYS[4], 1, 'NX', 'PX', ARGV[2]) then return 0 end

local taken = 0
local list = kinds[5] == 'string' and KEYS[6] or KEYS[2]
local stalled = redis.call('SMEMBERS', KEYS[1])
redis.call('DEL', KEYS[1])
for _, id in ipairs(stalled) do
  local key = ARGV[1] .. id
  if type(redis.pcall('GET', key .. ':lock')) ~= 'string' and redis.call('LREM', KEYS[3], 1, id) > 0 then
    if redis.call('TYPE', key).ok == 'hash' then
      -- Fails if the current value is not a number.
      if type(redis.pcall('HINCRBY', key, 'stalledCounter', 1)) == 'table' then
        redis.call('HSET', key, 'stalledCounter', 1)
      end
    end
    redis.call('RPUSH', list, id)
    redis.call('PUBLISH', KEYS[1] .. '@', id)
    taken = taken + 1
  end
end

local active = redis.call('LRANGE', KEYS[3], 0, -1)
for from = 1, #active, 1000 do
  redis.call('SADD', KEYS[1], unpack(active, from, math.min(from + 999, #active)))
end
return taken
