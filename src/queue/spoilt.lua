-- Moves a key of a wrong type out of the way.
-- KEYS  1 the key  2 where it goes
-- ARGV  1 its type  2 how long it is kept there, ms
-- Returns 1, or 0 if the key has changed.

if redis.call('TYPE', KEYS[1]).ok ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[2])
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
