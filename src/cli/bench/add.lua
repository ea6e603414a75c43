-- Adds a job as a producer of Bull does, and wakes whoever waits.
-- KEYS  1 wait  2 last id
-- ARGV  1 prefix of keys  2 data  3 opts  4 ms since 1970
-- Returns the id.

local id = redis.call('INCR', KEYS[2])
redis.call('HMSET', ARGV[1] .. id, 'name', '__default__', 'data', ARGV[2], 'opts', ARGV[3], 'timestamp', ARGV[4], 'delay', 0,
  'priority', 0)
redis.call('LPUSH', KEYS[1], id)
redis.call('PUBLISH', KEYS[1] .. 'ing@bench', id)
return id
