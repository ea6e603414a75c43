-- Notes which outcomes were heard, or turned out not to have been.
-- ARGV  1 prefix of states  2 prefix of what nobody has heard  3 channel  4 our process
--       then for each range of outcomes, at most 1,000: user, queue, first seq, last seq, 1 if they were heard
-- Nothing is noted for outcomes that are no longer kept.

-- Removes from the ranges of `unheard` what is within this one, which usually is one of them.
local function take(unheard, first, last)
  if redis.call('ZREM', unheard, first .. '-' .. last) == 1 then return end
  while true do
    local range = redis.call('ZRANGEBYSCORE', unheard, first, '+inf', 'LIMIT', '0', '1')[1]
    local from, to = (range or ''):match('^(%d+)-(%d+)$')
    if not range or tonumber(from) > tonumber(last) then return end
    -- Removing the last range removes the key too, and with it the time it has left.
    local ttl = redis.call('PTTL', unheard)
    redis.call('ZREM', unheard, range)
    if tonumber(from) < tonumber(first) then
      local before = string.format('%d', first - 1)
      redis.call('ZADD', unheard, before, from .. '-' .. before)
    end
    if tonumber(to) > tonumber(last) then
      redis.call('ZADD', unheard, to, string.format('%d', last + 1) .. '-' .. to)
    end
    if ttl > 0 then redis.call('PEXPIRE', unheard, ttl) end
  end
end

local not_heard = {}
for i = 5, #ARGV, 5 do
  local user, queue, first, last = unpack(ARGV, i, i + 3)
  local unheard = ARGV[2] .. queue .. ':' .. user
  if ARGV[i + 4] == '1' then
    take(unheard, first, last)
  else
    local state = ARGV[1] .. user
    local ttl, kept = redis.call('PTTL', state), redis.call('GET', state)
    local _, _, floor = cmsgpack.unpack(kept or cmsgpack.pack('', 0, 0))
    if kept and floor < tonumber(last) then
      take(unheard, first, last)
      redis.call('ZADD', unheard, last, string.format('%d', math.max(first, floor + 1)) .. '-' .. last)
      redis.call('PEXPIRE', unheard, ttl)
      not_heard[#not_heard + 1] = {user, queue}
    end
  end
end
if #not_heard > 0 then redis.call('PUBLISH', ARGV[3], cjson.encode({from = ARGV[4], unheard = not_heard})) end
