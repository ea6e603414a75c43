-- Stands before the scripts that end claims: the log of outcomes, one for each user.
-- A log has: its entries, a zset of `<seq>\n<queue>\n<length of job id>\n<job id><profile>` by seq; its state, a hash of
-- epoch, seq (of the last entry), floor (seq of the last that was dropped), bytes; and for each queue the seqs of what
-- nobody has heard yet, a zset `<queue>:<user>` by themselves. A seq is the time in µs, or one more than the last.

local logged = {}

-- Appends one outcome, and drops the oldest when they are too old or too large in all; a bounded number at a time.
-- `log` is {entries = prefix, state = prefix, unheard = prefix, ttl = ms, max = bytes, epoch = for a new log}.
-- Returns {seq, seq of the one before, epoch}.
local function append(log, user, queue, job, profile)
  local entries, state = log.entries .. user, log.state .. user
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local s = redis.call('HMGET', state, 'epoch', 'seq', 'bytes')
  local epoch, before, bytes = s[1] or log.epoch, tonumber(s[2]) or 0, tonumber(s[3]) or 0
  local seq = math.max(before + 1, now)
  local text = string.format('%.0f', seq)
  local entry = table.concat({text, queue, #job, job .. profile}, '\n')
  redis.call('ZADD', entries, text, entry)
  bytes = bytes + #entry

  local old = redis.call('ZCOUNT', entries, '-inf', string.format('%.0f', now - log.ttl * 1000))
  for _ = 1, 100 do
    if old == 0 and bytes <= log.max then break end
    local first = redis.call('ZPOPMIN', entries)
    if not first[1] then break end
    bytes, old = bytes - #first[1], math.max(0, old - 1)
    local gone, of = first[1]:match('^(%d+)\n([^\n]*)')
    redis.call('ZREM', log.unheard .. of .. ':' .. user, gone)
    redis.call('HSET', state, 'floor', gone)
  end

  local unheard = log.unheard .. queue .. ':' .. user
  redis.call('ZADD', unheard, text, text)
  redis.call('HSET', state, 'epoch', epoch, 'seq', text, 'bytes', string.format('%.0f', bytes))
  redis.call('PEXPIRE', entries, log.ttl)
  redis.call('PEXPIRE', state, log.ttl)
  redis.call('PEXPIRE', unheard, log.ttl)
  logged[#logged + 1] = {user, job}
  return {seq, before, epoch}
end

-- Tells all processes which logs have grown; `process` is who did it.
local function tell(channel, process)
  if #logged > 0 then redis.call('PUBLISH', channel, cjson.encode({from = process, logged = logged})) end
end

