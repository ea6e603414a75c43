-- Notes which outcomes were heard, or were not after all.
-- ARGV  1 prefix of states  2 prefix of what nobody has heard  3 channel  4 our process
--       then for each outcome, at most 1,000: user, queue, seq, 1 if it was heard
-- Of an outcome that is no longer kept nothing is noted.

local heard, not_heard = {}, {}
for i = 5, #ARGV, 4 do
  local user, queue, seq = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local unheard = ARGV[2] .. queue .. ':' .. user
  if ARGV[i + 3] == '1' then
    local seqs = heard[unheard]
    if seqs then seqs[#seqs + 1] = seq else heard[unheard] = {seq} end
  else
    local state = ARGV[1] .. user
    local ttl, kept = redis.call('PTTL', state), redis.call('GET', state)
    local _, _, floor = cmsgpack.unpack(kept or cmsgpack.pack('', 0, 0))
    if kept and floor < tonumber(seq) then
      redis.call('ZADD', unheard, seq, seq)
      redis.call('PEXPIRE', unheard, ttl)
      not_heard[#not_heard + 1] = {user, queue}
    end
  end
end
for unheard, seqs in pairs(heard) do redis.call('ZREM', unheard, unpack(seqs)) end
if #not_heard > 0 then redis.call('PUBLISH', ARGV[3], cjson.encode({from = ARGV[4], unheard = not_heard})) end
