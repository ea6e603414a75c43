-- Notes which outcomes were heard, or were not after all.
-- ARGV  1 prefix of states, then for each outcome: user, seq, queue if it was not heard or ''
-- Of an outcome that is no longer kept nothing is noted.

for i = 2, #ARGV, 3 do
  local state, field, queue = ARGV[1] .. ARGV[i], 'u:' .. ARGV[i + 1], ARGV[i + 2]
  if queue == '' then
    redis.call('HDEL', state, field)
  elseif (tonumber(redis.call('HGET', state, 'floor')) or 0) < tonumber(ARGV[i + 1])
    and redis.call('HEXISTS', state, 'epoch') == 1 then
    redis.call('HSET', state, field, queue)
  end
end
