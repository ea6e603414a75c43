-- Removes a dead letter, and puts its job back as if it were new, as Bull's own retry does.
-- KEYS  1 letters (zset, serial)  2 the letter (hash)  3 the job (hash)  4 failed (zset)  5 wait (list)  6 paused (list)
--       7 meta-paused
-- ARGV  1 id  2 serial of the letter that is meant  3 new data, or '' to keep the old
-- Returns 1; 0 if there is no such letter (any more); -1 if there is a job with this id that has not failed, because it
--       was added or retried in Bull: then nothing is changed.
-- Publishes `waiting@`. A job that Bull still has, and whose data was changed there since, keeps the changed data.

local _, spoilt = types({'zset', 'hash', 'hash', 'zset', 'list', 'list', 'string'})
if spoilt then return spoilt end
if redis.call('HGET', KEYS[2], 'serial') ~= ARGV[2] then return 0 end
local kept = redis.call('EXISTS', KEYS[3]) == 1
if kept and not redis.call('ZSCORE', KEYS[4], ARGV[1]) then return -1 end

local time = redis.call('TIME')
local letter, fields = redis.call('HGETALL', KEYS[2]), {}
for i = 1, #letter, 2 do fields[letter[i]] = letter[i + 1] end
local changed = kept and redis.call('HGET', KEYS[3], 'data') ~= fields.data
local names = {data = 'data', created_ms = 'timestamp', claimed_ms = 'processedOn'}
for field, value in pairs(fields) do
  local name = names[field] or field:match('^job%.(.*)$')
  if name and not (name == 'data' and changed) then redis.call('HSET', KEYS[3], name, value) end
end
if ARGV[3] ~= '' and not changed then redis.call('HSET', KEYS[3], 'data', ARGV[3]) end
redis.call('HDEL', KEYS[3], 'finishedOn', 'failedReason', 'returnvalue', 'stacktrace', 'stalledCounter')
redis.call('HSET', KEYS[3], 'attemptsMade', 0, 'delay', 0, 'retriedOn', time[1] * 1000 + math.floor(time[2] / 1000))

local ok, opts = pcall(cjson.decode, fields['job.opts'] or '')
local push = ok and type(opts) == 'table' and opts.lifo == true and 'RPUSH' or 'LPUSH'
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call(push, redis.call('EXISTS', KEYS[7]) == 1 and KEYS[6] or KEYS[5], ARGV[1])
redis.call('PUBLISH', KEYS[5] .. 'ing@' .. ARGV[2], ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
