-- Prepended to scripts that bury: writes a dead letter, in place of an older one with the same id.

-- Where the letters of a queue are. set, last: their keys; at: the first of five arguments, see `Home::tell`.
-- Returns {set, last, prefix, ttl, all, most, max}: sorted set of ids by serial, the last serial given to any letter of any
-- queue, prefix of the letters, how long they are kept in ms, prefix of what belongs to all queues; how many letters one
-- user may have, and how many bytes of data in them (0 for no limit).
local function letters_at(set, last, at)
  return {
    set = set, last = last, prefix = ARGV[at], ttl = ARGV[at + 1], all = ARGV[at + 2],
    most = tonumber(ARGV[at + 3]), max = tonumber(ARGV[at + 4]),
  }
end

-- Letters whose user is unknown share a budget this many times as large.
local SHARED = 10

-- How many letters went to make room for others, by user.
local dropped = {}

-- Notes a letter as its user's, and drops the user's oldest ones while they are too many, or have too many bytes; at most
-- 1,000 at a time, and never the last.
-- `<all>letters:<user>` is a sorted set, by serial, of `<bytes> <layout>:<queue>:<id>`, of which some may be gone;
-- `<all>letter-bytes:<user>` is the sum of the bytes.
local function fit(home, id, serial, bytes, user)
  local own, sum = home.all .. 'letters:' .. user, home.all .. 'letter-bytes:' .. user
  if redis.call('TYPE', own).ok ~= 'zset' then redis.call('DEL', own, sum) end
  if redis.call('ZADD', own, serial, bytes .. ' ' .. (home.prefix .. id):sub(#home.all + 8)) == 0 then bytes = 0 end
  local total = (tonumber(redis.pcall('GET', sum)) or 0) + bytes
  local too_old = tonumber(serial) - home.ttl * 1000
  local times = user == '' and SHARED or 1
  local most = home.most > 0 and home.most * times or math.huge
  local max = home.max > 0 and home.max * times or math.huge
  local count = redis.call('ZCARD', own)
  for _ = 1, 1000 do
    local name, died = unpack(redis.call('ZRANGE', own, '0', '0', 'WITHSCORES'))
    died = tonumber(died)
    if count <= 1 or count <= most and total <= max and died > too_old then break end
    redis.call('ZREM', own, name)
    local size, home_name, its_id = name:match('^(%d+) ([^:]*:[^:]*):(.*)$')
    count, total = count - 1, total - (tonumber(size) or 0)
    local key = home.all .. 'letter:' .. (home_name or '') .. ':' .. (its_id or '')
    -- It may have been driven since, or died again.
    if died > too_old and tonumber(redis.pcall('HGET', key, 'serial')) == died then
      redis.call('DEL', key)
      redis.pcall('ZREM', home.all .. 'dead:' .. home_name, its_id)
      dropped[user] = (dropped[user] or 0) + 1
    end
  end
  redis.call('SET', sum, string.format('%.0f', math.max(0, total)), 'PX', home.ttl)
  redis.call('PEXPIRE', own, home.ttl)
end

-- letter  its fields: data, reason, error (of the attempt before), attempts, crashes, created_ms, claimed_ms, and
--         `job.<field>` for each field of the job that is needed to redrive it
-- user    whose it is, or '' if that is not known
-- A serial is the time in microseconds, or one more than the last serial if that is later: no two letters have the same
-- one, so that it says which letter is meant, and where a listing continues.
local function write_letter(home, id, letter, user)
  local time = redis.call('TIME')
  local last = tonumber(redis.call('GET', home.last)) or 0
  local serial = string.format('%.0f', math.max(time[1] * 1000000 + time[2], last + 1))
  redis.call('SET', home.last, serial, 'PX', home.ttl)
  local key = home.prefix .. id
  redis.call('DEL', key)
  redis.call('HSET', key, 'serial', serial, 'died_ms', time[1] * 1000 + math.floor(time[2] / 1000))
  for field, value in pairs(letter) do
    if value then redis.call('HSET', key, field, value) end
  end
  redis.call('PEXPIRE', key, home.ttl)
  redis.call('ZADD', home.set, serial, id)
  trim_letters(home.set, home.ttl)
  fit(home, id, serial, #(letter.data or ''), user)
end

