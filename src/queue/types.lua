-- Prepended to scripts: what each of KEYS is. A script calls it before its first write, and returns the error if there is
-- one, `SPOILT <type> <key>`: then the key is moved out of the way, and the script runs again (spoilt.rs). So no script
-- breaks off halfway because somebody wrote something else to a key that all jobs of a queue share.
local function types(expected)
  local kinds = {}
  for n, kind in ipairs(expected) do
    kinds[n] = redis.call('TYPE', KEYS[n]).ok
    if kinds[n] ~= kind and kinds[n] ~= 'none' then
      return nil, redis.error_reply('SPOILT ' .. kinds[n] .. ' ' .. KEYS[n])
    end
  end
  return kinds
end

