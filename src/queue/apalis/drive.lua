-- Removes a dead letter, and puts its job back as if it were new, behind those that are due.
-- KEYS  1 letters (zset, serial)  2 the letter (hash)  3 data (hash)  4 metadata of the job (hash)  5 scheduled (zset, seconds)
-- ARGV  1 id  2 serial of the letter that is meant  3 new data, or '' to keep the old
-- Returns 1; 0 if there is no such letter (any more); -1 if there is a job with this id: then nothing is changed.

local _, spoilt = types({'zset', 'hash', 'hash', 'hash', 'zset'})
if spoilt then return spoilt end
if redis.call('HGET', KEYS[2], 'serial') ~= ARGV[2] then return 0 end
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 or redis.call('EXISTS', KEYS[4]) == 1 then return -1 end

local letter = redis.call('HGETALL', KEYS[2])
local data, meta = '', {'attempts', 0, 'status', 'Pending'}
for i = 1, #letter, 2 do
  local field = letter[i]
  if field == 'data' then
    data = letter[i + 1]
  elseif field == 'created_ms' or field:sub(1, 4) == 'job.' then
    meta[#meta + 1] = field == 'created_ms' and 'octavo:claimed_at' or field:sub(5)
    meta[#meta + 1] = letter[i + 1]
  end
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3] ~= '' and ARGV[3] or data)
for i = 1, #meta, 2 do redis.call('HSET', KEYS[4], meta[i], meta[i + 1]) end
redis.call('ZADD', KEYS[5], time[1] + math.floor(time[2] / 1000) / 1000, ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
