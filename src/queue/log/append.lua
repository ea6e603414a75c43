-- Stands before the scripts that end claims: the log of outcomes, one for each user.
-- A log has: its entries, a zset of `<seq>\n<queue>\n<length of job id>\n<job id><profile>` by seq; its state, packed: epoch,
-- seq (of the last entry), floor (seq of the last that was dropped), bytes, oldest (no entry has a lower seq); and for each
-- queue what nobody has heard yet, a zset `<queue>:<user>` of ranges `<first seq>-<last seq>` by the last, none within
-- another. A seq is the time in µs, or one more than the last: what one script appends to a log is one range.

-- What was noted: for each user job, profile, row, and so on; and for all, user, job, and so on.
local users, outcomes, logged = {}, {}, {}

-- Notes an outcome for `append` to write; `row` is where its place goes.
local function outcome(user, job, profile, row)
  local own = outcomes[user]
  if not own then
    own = {}
    users[#users + 1], outcomes[user] = user, own
  end
  local n = #own
  own[n + 1], own[n + 2], own[n + 3] = job, profile, row
  n = #logged
  logged[n + 1], logged[n + 2] = user, job
end

-- Drops the oldest entries that are too old or too large in all, when some were `added`. Returns floor, bytes and oldest as
-- they are then. Cost grows with what is dropped, which is read, for its size: each entry once, and no more than a whole log.
local function drop(log, user, added, floor, bytes, too_old)
  local entries, some, queues, oldest = log.entries .. user, added, {}, nil
  while not oldest do
    local first = redis.call('ZRANGE', entries, '0', tostring(some))
    local gone = 0
    for _, entry in ipairs(first) do
      local seq, queue = entry:match('^(%d+)\n([^\n]*)')
      oldest = tonumber(seq)
      if bytes <= log.max and oldest > too_old then break end
      gone, floor, bytes, queues[queue], oldest = gone + 1, oldest, bytes - #entry, true, nil
    end
    if gone == 0 then break end
    redis.call('ZREMRANGEBYRANK', entries, '0', tostring(gone - 1))
    some = math.min(some * 2, 1000)
  end
  for queue in pairs(queues) do
    redis.call('ZREMRANGEBYSCORE', log.unheard .. queue .. ':' .. user, '-inf', string.format('%d', floor))
  end
  return floor, bytes, oldest or floor
end

-- Appends what was noted, all of `queue`, and drops the oldest; tells all processes which logs have grown. Writes their
-- places to `settled`, three for each row: seq, seq of the one before, epoch.
-- log   {entries = prefix, state = prefix, unheard = prefix, ttl = ms, max = bytes, epoch = for a new log,
--       channel = where to tell, process = who tells}
-- now   the time, µs
local function append(log, queue, now, settled)
  if #users == 0 then return end
  local keys, lengths = {}, {}
  for i, user in ipairs(users) do keys[i] = log.state .. user end
  local states = redis.call('MGET', unpack(keys))
  local too_old = now - log.ttl * 1000
  for i, user in ipairs(users) do
    local epoch, seq, floor, bytes, oldest = log.epoch, 0, 0, 0, 0
    if states[i] then epoch, seq, floor, bytes, oldest = cmsgpack.unpack(states[i]) end
    local own, rows, n = outcomes[user], {}, 0
    for at = 1, #own, 3 do
      local job, profile, row = own[at], own[at + 1], own[at + 2] * 3
      local before = seq
      seq = math.max(seq + 1, now)
      local text, length = string.format('%d', seq), lengths[#job]
      settled[row - 2], settled[row - 1], settled[row] = text, before, epoch
      if not length then
        length = '\n' .. queue .. '\n' .. #job .. '\n'
        lengths[#job] = length
      end
      local entry = text .. length .. job .. profile
      bytes = bytes + #entry
      rows[n + 1], rows[n + 2] = text, entry
      n = n + 2
    end
    local entries, unheard = log.entries .. user, log.unheard .. queue .. ':' .. user
    redis.call('ZADD', entries, unpack(rows))
    redis.call('ZADD', unheard, rows[n - 1], rows[1] .. '-' .. rows[n - 1])
    if bytes > log.max or oldest <= too_old then
      floor, bytes, oldest = drop(log, user, n / 2, floor, bytes, too_old)
    end
    redis.call('PEXPIRE', entries, log.ttl)
    redis.call('PEXPIRE', unheard, log.ttl)
    redis.call('SET', keys[i], cmsgpack.pack(epoch, seq, floor, bytes, oldest), 'PX', log.ttl)
  end
  redis.call('PUBLISH', log.channel, cjson.encode({from = log.process, logged = logged}))
end
