-- Finds dead letters by their serials. Removes up to 100 old ones from each set.
-- KEYS  sorted sets of ids by serial
-- ARGV  1 how long letters are kept, ms  2 above this serial  3 below this serial  4 the most letters from each set
--       5 1 for the oldest first, 0 for the newest  6 the id to look for, or ''
-- Returns {the highest serial of all, then for each set its {id, serial, …}}.

local expected = {}
for n in ipairs(KEYS) do expected[n] = 'zset' end
local _, spoilt = types(expected)
if spoilt then return spoilt end
local ttl, above, below, most, oldest, wanted = ARGV[1], '(' .. ARGV[2], '(' .. ARGV[3], ARGV[4], ARGV[5] == '1', ARGV[6]
local found, newest = {}, 0
for _, set in ipairs(KEYS) do
  trim_letters(set, ttl)
  newest = math.max(newest, tonumber(redis.call('ZREVRANGE', set, 0, 0, 'WITHSCORES')[2]) or 0)
  if wanted ~= '' then
    local serial = redis.call('ZSCORE', set, wanted)
    local within = serial and tonumber(serial) > tonumber(ARGV[2]) and tonumber(serial) < tonumber(ARGV[3])
    found[#found + 1] = within and {wanted, serial} or {}
  elseif oldest then
    found[#found + 1] = redis.call('ZRANGEBYSCORE', set, above, below, 'WITHSCORES', 'LIMIT', 0, most)
  else
    found[#found + 1] = redis.call('ZREVRANGEBYSCORE', set, below, above, 'WITHSCORES', 'LIMIT', 0, most)
  end
end
return {string.format('%.0f', newest), unpack(found)}
