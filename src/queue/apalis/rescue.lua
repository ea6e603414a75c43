-- Takes back jobs whose lease has expired: to the front of the queue, with a crash counted. Forgets the places of outcomes
-- once they are all too old.
-- KEYS  1 active (list)  2 leases (zset, ms)  3 data (hash)
--       4 places of outcomes (hash)  5 the hash that it replaced  6 since when 4 has been written to, ms
--       7 letters (zset, serial)  8 last serial  9 what counts for users (hash, by job id)
-- ARGV  1 prefix of meta hashes  2 the most jobs  3 how long outcomes are kept, ms  4 to 8 for letters (letters_at)
-- Returns how many.

local letters = letters_at(KEYS[7], KEYS[8], 4)
local _, spoilt = types({'list', 'zset', 'hash', 'hash', 'hash', 'string', 'zset', 'string', 'hash'})
if spoilt then return spoilt end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- They would expire by themselves, but Redis would be blocked meanwhile.
local since = tonumber(redis.call('GET', KEYS[6]) or nil)
if not since or now - since > 2 * ARGV[3] then redis.call('UNLINK', KEYS[4], KEYS[5]) end
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[2])
for i = #ids, 1, -1 do
  local id, meta = ids[i], ARGV[1] .. ids[i]
  redis.call('ZREM', KEYS[2], id)
  local crashes = redis.pcall('HGET', meta, 'octavo:crashes')
  if type(crashes) == 'table' then
    -- Its metadata is not a hash any more.
    bury(letters, KEYS[3], meta, id, 'its metadata is not a hash')
    free(letters.all, KEYS[9], {id})
  else
    redis.call('HDEL', meta, 'octavo:lease')
    redis.call('HSET', meta, 'octavo:crashes', (tonumber(crashes) or 0) + 1, 'status', 'Pending')
    redis.call('LPUSH', KEYS[1], id)
  end
end
return #ids
