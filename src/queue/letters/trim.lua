-- Prepended to scripts that need it: removes up to 100 expired letters from a set of ids. Letters expire by themselves.
-- set  sorted set of ids by serial, which is microseconds since 1970  ttl  how long letters are kept, ms
local function trim_letters(set, ttl)
  local time = redis.call('TIME')
  local oldest = time[1] * 1000000 + time[2] - ttl * 1000
  local ids = redis.call('ZRANGEBYSCORE', set, '-inf', string.format('%.0f', oldest), 'LIMIT', 0, 100)
  if #ids > 0 then redis.call('ZREM', set, unpack(ids)) end
end

