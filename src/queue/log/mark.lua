-- Notes which outcomes were heard, or turned out not to have been.
-- ARGV  1 prefix of states  2 prefix of what nobody has heard  3 channel  4 our process
--       then for each range of outcomes, at most 1,000: user, queue, first seq, last seq, 1 if they were heard
-- Nothing is noted for outcomes that are no longer kept.
-- Returns the users of whom nothing could be noted, since somebody wrote something else to their log: it is removed, and begun
-- anew with their next outcome.

-- Removes from the ranges of `unheard` what is within this one, which usually is one of them.
local function take(unheard, first, last)
  if redis.call('ZREM', unheard, first .. '-' .. last) == 1 then return end
  while true do
    local range = redis.call('ZRANGEBYSCORE', unheard, first, '+inf', 'LIMIT', '0', '1')[1]
    local from, to = (range or ''):match('^(%d+)-(%d+)$')
    -- What is no range, somebody else wrote: it is removed.
    from, to = from or '0', to or '0'
    if not range or tonumber(from) > tonumber(last) then return end
    -- Removing the last range removes the key too, and with it the time it has left.
    local ttl = redis.call('PTTL', unheard)
    redis.call('ZREM', unheard, range)
    if tonumber(to) >= tonumber(first) and tonumber(from) < tonumber(first) then
      local before = string.format('%d', first - 1)
      redis.call('ZADD', unheard, before, from .. '-' .. before)
    end
    if tonumber(to) > tonumber(last) then
      redis.call('ZADD', unheard, to, string.format('%d', last + 1) .. '-' .. to)
    end
    if ttl > 0 then redis.call('PEXPIRE', unheard, ttl) end
  end
end

local not_heard, spoilt = {}, {}

local function mark(i)
  local user, queue, first, last = unpack(ARGV, i, i + 3)
  local unheard = ARGV[2] .. queue .. ':' .. user
  if ARGV[i + 4] == '1' then
    take(unheard, first, last)
  else
    local state = ARGV[1] .. user
    local ttl, kept = redis.call('PTTL', state), redis.call('GET', state)
    local known, _, _, floor = pcall(cmsgpack.unpack, kept or '')
    floor = known and tonumber(floor) or math.huge
    if floor < tonumber(last) then
      take(unheard, first, last)
      redis.call('ZADD', unheard, last, string.format('%d', math.max(first, floor + 1)) .. '-' .. last)
      redis.call('PEXPIRE', unheard, ttl)
      not_heard[#not_heard + 1] = {user, queue}
    end
  end
end
for i = 5, #ARGV, 5 do
  local marked, failure = pcall(mark, i)
  if not marked then
    failure = type(failure) == 'table' and failure.err or tostring(failure)
    -- As a full Redis refuses to write: then nothing of this user is changed, and all of it is asked for again.
    if not failure:find('WRONGTYPE', 1, true) then return redis.error_reply(failure) end
    redis.call('UNLINK', ARGV[1] .. ARGV[i], ARGV[2] .. ARGV[i + 1] .. ':' .. ARGV[i])
    spoilt[#spoilt + 1] = ARGV[i]
  end
end
if #not_heard > 0 then redis.call('PUBLISH', ARGV[3], cjson.encode({from = ARGV[4], unheard = not_heard})) end
return spoilt
