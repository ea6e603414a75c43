-- Prepended to the scripts that end claims: the log of outcomes, one for each user.
-- A log has
--   its entries: a zset of chunks by the seq of their last entry; a chunk is `<first seq>\n<queue>\n`, then for each entry,
--     whose seq is one more than the one before, `<length of job id>,<length of profile>:<job id><profile>`
--   its state, packed: epoch, seq (of the last entry), floor (seq of the last entry that was dropped), bytes, oldest (no
--     chunk ends at a lower seq)
--   what nobody has heard yet, for each queue: a zset `<queue>:<user>` of ranges `<first seq>-<last seq>` by the last, which
--     do not overlap
-- A seq is the time in µs, or one more than the last one: what one script appends to a log is one range.

-- The most entries and bytes in a chunk, or an eighth of a log's bytes if that is less, unless a single entry has more: a
-- log that is full loses a whole chunk.
local CHUNK, CHUNK_BYTES = 100, 65536

-- What was noted: for each user: job, profile, row, and so on; and for all of them: user, job, and so on.
local users, outcomes, logged = {}, {}, {}

-- The users whose log had been spoilt, and was begun anew.
local renewed = {}

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

-- A chunk with at least this many bytes is large: what all users together have in large chunks is bounded.
local LARGE = 65536

-- Drops the oldest chunks while they are too old, or too large in total, after `added` new ones. Returns the new floor,
-- bytes and oldest. The cost grows with what is dropped, which is read for its size, and is at most that of a whole log.
local function drop(log, user, added, floor, bytes, too_old)
  local entries, some, queues, oldest = log.entries .. user, added, {}, nil
  while not oldest do
    local chunks = redis.call('ZRANGE', entries, '0', tostring(some), 'WITHSCORES')
    local gone = 0
    for i = 1, #chunks, 2 do
      oldest = tonumber(chunks[i + 1])
      if bytes <= log.max and oldest > too_old then break end
      queues[chunks[i]:match('\n([^\n]*)') or ''] = true
      gone, floor, bytes, oldest = gone + 1, oldest, bytes - #chunks[i], nil
    end
    if gone == 0 then break end
    redis.call('ZREMRANGEBYRANK', entries, '0', tostring(gone - 1))
    some = math.min(some * 2, 1000)
  end
  for queue in pairs(queues) do
    redis.pcall('ZREMRANGEBYSCORE', log.unheard .. queue .. ':' .. user, '-inf', string.format('%d', floor))
  end
  return floor, bytes, oldest or floor
end

-- The state of a log, unpacked: epoch, seq, floor, bytes, oldest; nothing if it is none.
local function unpack_state(packed)
  local ok, epoch, seq, floor, bytes, oldest = pcall(cmsgpack.unpack, packed)
  if ok and type(epoch) == 'string' and type(seq) == 'number' and type(floor) == 'number' and type(bytes) == 'number'
    and type(oldest) == 'number' then
    return epoch, seq, floor, bytes, oldest
  end
end

-- Notes large chunks, and drops the oldest ones of all users, each with all that its log has before it, while they have too
-- many bytes together; at most 1,000 at a time.
-- `<log>-large` is a sorted set, by seq, of `<seq> <bytes> <user>`, of which some may be gone; `<log>-large-bytes` is the sum.
local function bound(log, large, too_old)
  local set = log.entries:sub(1, -2) .. '-large'
  local sum = set .. '-bytes'
  if redis.call('TYPE', set).ok ~= 'zset' then redis.call('DEL', set, sum) end
  local total = tonumber(redis.pcall('GET', sum)) or 0
  for _, chunk in ipairs(large) do
    redis.call('ZADD', set, chunk.seq, chunk.seq .. ' ' .. chunk.bytes .. ' ' .. chunk.user)
    total = total + chunk.bytes
  end
  for _ = 1, 1000 do
    local name, seq = unpack(redis.call('ZRANGE', set, '0', '0', 'WITHSCORES'))
    seq = tonumber(seq)
    if not name or total <= log.total and seq > too_old then break end
    redis.call('ZREM', set, name)
    local bytes, user = name:match('^%d+ (%d+) (.*)$')
    total = total - (tonumber(bytes) or 0)
    local epoch, last, floor, kept
    if user and seq > too_old then epoch, last, floor, kept = unpack_state(redis.pcall('GET', log.state .. user)) end
    if epoch and floor < seq and redis.call('TYPE', log.entries .. user).ok == 'zset' then
      local oldest
      floor, kept, oldest = drop(log, user, 1, floor, kept, seq)
      redis.call('SET', log.state .. user, cmsgpack.pack(epoch, last, floor, kept, oldest), 'KEEPTTL')
    end
  end
  redis.call('SET', sum, string.format('%.0f', math.max(0, total)), 'PX', log.ttl)
  redis.call('PEXPIRE', set, log.ttl)
end

-- Appends what was noted, all of it from `queue`, and drops the oldest; tells all processes which logs have grown. Writes
-- the places to `settled`, three values for each row: seq, seq of the one before, epoch.
-- A log that was spoilt, because somebody wrote something else to its keys, is begun anew, which its clients see by its epoch.
-- log   {entries = prefix, state = prefix, unheard = prefix, ttl = ms, max = bytes, total = bytes of large chunks of all users, or
--       0 for no limit, epoch = for a new log,
--       channel = where to tell, process = who tells}
-- now   the time, µs
local function append(log, queue, now, settled)
  if #users == 0 then return end
  local keys = {}
  for i, user in ipairs(users) do keys[i] = log.state .. user end
  local states = redis.call('MGET', unpack(keys))
  local too_old, chunk_bytes = now - log.ttl * 1000, math.min(CHUNK_BYTES, log.max / 8)
  local large = {}
  -- Returns whether it was appended; if not, nothing is changed, and the log is spoilt.
  local function add(i, user)
    local epoch, seq, floor, bytes, oldest
    if states[i] then epoch, seq, floor, bytes, oldest = unpack_state(states[i]) end
    local is_new = not epoch
    if is_new then epoch, seq, floor, bytes, oldest = log.epoch, 0, 0, 0, 0 end
    local own, chunks, at, first, last = outcomes[user], {}, 1, nil, nil
    while at <= #own do
      last = string.format('%d', math.max(seq + 1, now))
      first = first or last
      local chunk, n, size = {last, '\n', queue, '\n'}, 0, 0
      local head, job_length, profile_length
      repeat
        local job, profile, row, i = own[at], own[at + 1], own[at + 2] * 3, n * 3 + 4
        -- Most have the same lengths as the one before.
        if #job ~= job_length or #profile ~= profile_length then
          job_length, profile_length = #job, #profile
          head = string.format('%d,%d:', job_length, profile_length)
        end
        chunk[i + 1], chunk[i + 2], chunk[i + 3] = head, job, profile
        n, size, at = n + 1, size + #job + #profile, at + 3
        settled[row - 1], seq = seq, math.max(seq + 1, now)
        settled[row - 2], settled[row] = seq, epoch
      until at > #own or n == CHUNK or size + #own[at] + #own[at + 1] > chunk_bytes
      if n > 1 then last = string.format('%d', seq) end
      local text = table.concat(chunk)
      bytes = bytes + #text
      chunks[#chunks + 1], chunks[#chunks + 2] = last, text
      if #text >= LARGE then large[#large + 1] = {seq = last, bytes = #text, user = user} end
    end
    if is_new then oldest = tonumber(first) end
    local entries, unheard = log.entries .. user, log.unheard .. queue .. ':' .. user
    if type(redis.pcall('ZADD', entries, unpack(chunks))) == 'table' then return false end
    if type(redis.pcall('ZADD', unheard, last, first .. '-' .. last)) == 'table' then
      redis.call('UNLINK', unheard)
      redis.call('ZADD', unheard, last, first .. '-' .. last)
      renewed[#renewed + 1] = user
    end
    if bytes > log.max or oldest <= too_old then
      floor, bytes, oldest = drop(log, user, #chunks / 2, floor, bytes, too_old)
    end
    redis.call('PEXPIRE', entries, log.ttl)
    redis.call('PEXPIRE', unheard, log.ttl)
    redis.call('SET', keys[i], cmsgpack.pack(epoch, seq, floor, bytes, oldest), 'PX', log.ttl)
    return true
  end
  for i, user in ipairs(users) do
    if not add(i, user) then
      redis.call('UNLINK', log.entries .. user)
      renewed[#renewed + 1], states[i] = user, nil
      add(i, user)
    end
  end
  if #large > 0 and log.total > 0 then bound(log, large, too_old) end
  redis.call('PUBLISH', log.channel, cjson.encode({from = log.process, logged = logged}))
end
