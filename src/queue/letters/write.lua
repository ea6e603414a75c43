-- Prepended to scripts that bury: writes a dead letter, in place of an older one with the same id.
-- home    {set, last, prefix, ttl}: sorted set of ids by serial, the last serial given to any letter of any queue, prefix
--         of the letters, how long they are kept in ms
-- letter  its fields: data, reason, error (of the attempt before), attempts, crashes, created_ms, claimed_ms, and
--         `job.<field>` for each field of the job that is needed to redrive it
-- A serial is the time in microseconds, or one more than the last serial if that is later: no two letters have the same
-- one, so that it says which letter is meant, and where a listing continues.
local function write_letter(home, id, letter)
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
end

