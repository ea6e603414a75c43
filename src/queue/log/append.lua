-- Stands before the scripts that end claims: the log of outcomes, one for each user.
-- A log has: its entries, a zset of `<seq>\n<queue>\n<length of job id>\n<job id><profile>` by seq; its state, packed: epoch,
-- seq (of the last entry), floor (seq of the last that was dropped), bytes, oldest (no entry has a lower seq); and for each
-- queue the seqs of what nobody has heard yet, a zset `<queue>:<user>` by themselves. A seq is the time in µs, or one more
-- than the last.

local users, outcomes, logged = {}, {}, {}

-- Notes an outcome, for `append` to write; gives its place, {seq, seq of the one before, epoch}, which is filled in then.
local function outcome(user, job, profile)
  if not outcomes[user] then
    users[#users + 1], outcomes[user] = user, {}
  end
  local place = {0, 0, ''}
  table.insert(outcomes[user], {job, profile, place})
  logged[#logged + 1] = {user, job}
  return place
end

-- Drops the oldest entries that are too old or too large in all: as many as were `added`, and 100 more, at the most.
-- Returns floor, bytes and oldest as they are then.
local function drop(log, user, added, floor, bytes, too_old)
  local entries, dropped, queues, oldest = log.entries .. user, 0, {}, nil
  while not oldest and dropped < added + 100 do
    local first = redis.call('ZRANGE', entries, '0', tostring(math.min(added, 100)))
    local gone = 0
    for _, entry in ipairs(first) do
      local seq, queue = entry:match('^(%d+)\n([^\n]*)')
      oldest = tonumber(seq)
      if bytes <= log.max and oldest > too_old then break end
      gone, floor, bytes, queues[queue], oldest = gone + 1, oldest, bytes - #entry, true, nil
    end
    if gone == 0 then break end
    redis.call('ZREMRANGEBYRANK', entries, '0', tostring(gone - 1))
    dropped = dropped + gone
  end
  for queue in pairs(queues) do
    redis.call('ZREMRANGEBYSCORE', log.unheard .. queue .. ':' .. user, '-inf', string.format('%d', floor))
  end
  return floor, bytes, oldest or floor
end

-- Appends what was noted, all of `queue`, and drops the oldest; tells all processes which logs have grown.
-- log   {entries = prefix, state = prefix, unheard = prefix, ttl = ms, max = bytes, epoch = for a new log,
--       channel = where to tell, process = who tells}
-- now   the time, µs
local function append(log, queue, now)
  if #users == 0 then return end
  local keys = {}
  for i, user in ipairs(users) do keys[i] = log.state .. user end
  local states = redis.call('MGET', unpack(keys))
  local too_old = now - log.ttl * 1000
  for i, user in ipairs(users) do
    local epoch, seq, floor, bytes, oldest = log.epoch, 0, 0, 0, 0
    if states[i] then epoch, seq, floor, bytes, oldest = cmsgpack.unpack(states[i]) end
    local added, rows, seqs = outcomes[user], {}, {}
    for _, row in ipairs(added) do
      local job, place = row[1], row[3]
      place[2], place[3] = seq, epoch
      seq = math.max(seq + 1, now)
      place[1] = seq
      local text = string.format('%d', seq)
      local entry = text .. '\n' .. queue .. '\n' .. #job .. '\n' .. job .. row[2]
      bytes = bytes + #entry
      rows[#rows + 1], rows[#rows + 2] = text, entry
      seqs[#seqs + 1], seqs[#seqs + 2] = text, text
    end
    local entries, unheard = log.entries .. user, log.unheard .. queue .. ':' .. user
    redis.call('ZADD', entries, unpack(rows))
    redis.call('ZADD', unheard, unpack(seqs))
    if bytes > log.max or oldest <= too_old then
      floor, bytes, oldest = drop(log, user, #added, floor, bytes, too_old)
    end
    redis.call('PEXPIRE', entries, log.ttl)
    redis.call('PEXPIRE', unheard, log.ttl)
    redis.call('SET', keys[i], cmsgpack.pack(epoch, seq, floor, bytes, oldest), 'PX', log.ttl)
  end
  redis.call('PUBLISH', log.channel, cjson.encode({from = log.process, logged = logged}))
end
