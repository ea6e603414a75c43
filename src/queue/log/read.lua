-- Reads a user's log.
-- KEYS  1 entries (zset)  2 state (packed)  3 to read only what nobody has heard from a queue: that (zset); see append.lua
-- ARGV  1 how old the last entry of a chunk may be, ms  2 the most entries  3 the most bytes (one entry is always returned)
--       4 only entries after this seq  5 with a queue, optional: only entries up to this seq
-- Returns {epoch or '', seq of the last, seq of the last that is too old or was dropped, entries, 1 if there are more, 1 if the
-- log was spoilt}; an entry is four values: seq, queue, job id, profile. A log that somebody wrote something else to is removed:
-- its next outcome begins it anew.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local oldest = now - ARGV[1] * 1000
local max, max_bytes, after = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local spoilt = 0
for n, key in ipairs(KEYS) do
  local is = redis.call('TYPE', key).ok
  if is ~= 'none' and is ~= (n == 2 and 'string' or 'zset') then spoilt = 1 end
end
local state = spoilt == 0 and redis.call('GET', KEYS[2])
local epoch, last, floor = '', 0, 0
if state then
  local ok
  ok, epoch, last, floor = pcall(cmsgpack.unpack, state)
  if not (ok and type(epoch) == 'string' and type(last) == 'number' and type(floor) == 'number') then spoilt = 1 end
end
if spoilt == 1 then
  redis.call('UNLINK', unpack(KEYS))
  return {'', 0, 0, {}, 0, 1}
end
local entries, count, bytes, more = {}, 0, 0, 0
local old = redis.call('ZREVRANGEBYSCORE', KEYS[1], string.format('%.0f', oldest), '-inf', 'WITHSCORES', 'LIMIT', '0', '1')
if old[2] then floor = math.max(floor, tonumber(old[2])) end

-- Adds the entries after one seq and up to another, as many as there is room for; returns the seq of the last if there is
-- no room for more.
local function add(after, to)
  local from, some = math.max(after, oldest), 1
  while true do
    some = math.min(some, max - count)
    local chunks = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', from), '+inf', 'LIMIT', '0', string.format('%d', some))
    for _, chunk in ipairs(chunks) do
      local seq, queue, head = chunk:match('^(%d+)\n([^\n]*)\n()')
      -- What is no chunk is passed over.
      seq, head = tonumber(seq) or math.ceil(redis.call('ZSCORE', KEYS[1], chunk)) + 1, head or #chunk + 1
      while head <= #chunk do
        local job, profile, start = chunk:match('^(%d+),(%d+):()', head)
        if not job then
          seq = math.ceil(redis.call('ZSCORE', KEYS[1], chunk)) + 1
          break
        end
        local middle, n = start + job, count * 4
        head = middle + profile
        if seq > to then return nil end
        if seq > after then
          entries[n + 1], entries[n + 2] = seq, queue
          entries[n + 3], entries[n + 4] = chunk:sub(start, middle - 1), chunk:sub(middle, head - 1)
          count, bytes = count + 1, bytes + head - start
          if count >= max or bytes >= max_bytes then return seq end
        end
        seq = seq + 1
      end
      -- Without looking at the next chunk, which may be large.
      if seq > to then return nil end
      -- Not a second time, whatever is written there.
      if seq - 1 <= from then return nil end
      from = seq - 1
    end
    if #chunks < some then return nil end
    some = some * 2
  end
end

-- Adds what nobody has heard, in the same way.
local function add_unheard(to)
  local from = math.max(after, oldest)
  while true do
    local ranges = redis.call('ZRANGEBYSCORE', KEYS[3], string.format('(%.0f', from), '+inf', 'LIMIT', '0', ARGV[2])
    for _, range in ipairs(ranges) do
      local first, last = range:match('^(%d+)-(%d+)$')
      -- What is no range is passed over.
      last = last or math.ceil(redis.call('ZSCORE', KEYS[3], range))
      first = first or last + 1
      if tonumber(first) > to then return nil end
      local full = add(math.max(first - 1, after), math.min(last, to))
      if full then return full end
      if tonumber(last) <= from then return nil end
      from = tonumber(last)
    end
    if #ranges < max then return nil end
  end
end

local full
if KEYS[3] then full = add_unheard(tonumber(ARGV[5]) or math.huge) else full = add(after, math.huge) end
-- Entries after `to` count as well: then the next page is empty.
if full then more = redis.call('ZCOUNT', KEYS[3] or KEYS[1], string.format('(%.0f', full), '+inf') > 0 and 1 or 0 end
return {epoch, last, floor, entries, more, 0}
