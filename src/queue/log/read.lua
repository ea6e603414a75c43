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

local function add(entry)
  entries[#entries + 1] = entry
  bytes = bytes + #entry
end

if KEYS[3] then
  local from = '(' .. string.format('%.0f', math.max(after, oldest))
  local seqs = redis.call('ZRANGEBYSCORE', KEYS[3], from, ARGV[5] or '+inf', 'LIMIT', 0, max + 1)
  for i, seq in ipairs(seqs) do
    if i > max or bytes >= max_bytes then
      more = 1
      break
    end
    local found = redis.call('ZRANGEBYSCORE', KEYS[1], seq, seq)
    if found[1] then add(found[1]) end
  end
else
  local from = '(' .. string.format('%.0f', math.max(after, oldest))
  while #entries < max and bytes < max_bytes do
    local found = redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'LIMIT', 0, 1)
    if not found[1] then break end
    add(found[1])
    from = '(' .. found[1]:match('^%d+')
  end
  more = redis.call('ZCOUNT', KEYS[1], from, '+inf') > 0 and 1 or 0
end
return {epoch, last, floor, entries, more}
