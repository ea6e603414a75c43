-- Reads a user's log.
-- KEYS  1 entries (zset)  2 state (packed)  3 only what nobody has heard of a queue (zset), or nothing; see append.lua
-- ARGV  1 how old an entry may be, ms  2 entries at the most  3 bytes at the most (one entry is given always)
--       4 only those after this seq  5 with a queue: none after this seq, or nothing
-- Returns {epoch or '', seq of the last, seq of the last that is too old or was dropped, entries, 1 if there are more}.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local oldest = now - ARGV[1] * 1000
local max, max_bytes, after = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local state = redis.call('GET', KEYS[2])
local epoch, last, floor = '', 0, 0
if state then epoch, last, floor = cmsgpack.unpack(state) end
local entries, bytes, more = {}, 0, 0
local old = redis.call('ZREVRANGEBYSCORE', KEYS[1], string.format('%.0f', oldest), '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
if old[2] then floor = math.max(floor, tonumber(old[2])) end

-- Adds the entries of a range, as many as there is room for; gives whether there is room for others.
local function add(from, to)
  local some = 1
  while true do
    some = math.min(some, max - #entries)
    local found = redis.call('ZRANGEBYSCORE', KEYS[1], from, to, 'LIMIT', '0', string.format('%d', some))
    for _, entry in ipairs(found) do
      entries[#entries + 1] = entry
      bytes = bytes + #entry
      if #entries >= max or bytes >= max_bytes then return false end
    end
    if #found < some then return true end
    from, some = '(' .. found[some]:match('^%d+'), some * 2
  end
end

local from, room = math.max(after, oldest) + 1, true
if KEYS[3] then
  local to = tonumber(ARGV[5]) or math.huge
  local ranges = redis.call('ZRANGEBYSCORE', KEYS[3], string.format('%.0f', from), '+inf', 'LIMIT', '0', ARGV[2])
  for _, range in ipairs(ranges) do
    local first, last = range:match('^(%d+)-(%d+)$')
    first, last = math.max(first, from), math.min(last, to)
    if first > to or not room then break end
    room = add(string.format('%.0f', first), string.format('%.0f', last))
  end
else
  room = add(string.format('%.0f', from), '+inf')
end
if not room then
  -- What comes after `to` counts as well: then the next page is empty.
  more = redis.call('ZCOUNT', KEYS[3] or KEYS[1], '(' .. entries[#entries]:match('^%d+'), '+inf') > 0 and 1 or 0
end
return {epoch, last, floor, entries, more}
