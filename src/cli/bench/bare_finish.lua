-- Acknowledges Bull jobs, and keeps their outcome: the least that any worker must do.
-- KEYS  1 active  2 outcomes (stream)
-- ARGV  1 prefix of keys  2 lock token  3 the outcome  4… ids
-- Returns how many were ours.

local done = 0
for i = 4, #ARGV do
  local id, key = ARGV[i], ARGV[1] .. ARGV[i]
  if redis.call('GET', key .. ':lock') == ARGV[2] then
    redis.call('LREM', KEYS[1], -1, id)
    redis.call('DEL', key, key .. ':lock')
    redis.call('PUBLISH', ARGV[1] .. 'completed', id)
    redis.call('XADD', KEYS[2], '*', 'id', id, 'outcome', ARGV[3])
    done = done + 1
  end
end
return done
