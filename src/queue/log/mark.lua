-- Notes which outcomes were heard, or were not after all.
-- ARGV  1 prefix of states  2 prefix of what nobody has heard  3 channel  4 our process
--       then for each outcome: user, queue, seq, 1 if it was heard
-- Of an outcome that is no longer kept nothing is noted.

local not_heard = {}
for i = 5, #ARGV, 4 do
  local state, seq = ARGV[1] .. ARGV[i], ARGV[i + 2]
  local unheard = ARGV[2] .. ARGV[i + 1] .. ':' .. ARGV[i]
  if ARGV[i + 3] == '1' then
    redis.call('ZREM', unheard, seq)
  else
    local ttl = redis.call('PTTL', state)
    if ttl > 0 and (tonumber(redis.call('HGET', state, 'floor')) or 0) < tonumber(seq) then
      redis.call('ZADD', unheard, seq, seq)
      redis.call('PEXPIRE', unheard, ttl)
      not_heard[#not_heard + 1] = {ARGV[i], ARGV[i + 1]}
    end
  end
end
if #not_heard > 0 then redis.call('PUBLISH', ARGV[3], cjson.encode({from = ARGV[4], unheard = not_heard})) end
