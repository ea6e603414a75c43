-- Prepended to scripts after which jobs have left their queue: those that came in over HTTP no longer count for their users.
-- all      prefix of what belongs to all queues; `<all>quota:<user>` has the user's jobs and bytes
-- counted  the hash with `<bytes> <user>` by job id, as push.lua has written it
-- ids      the jobs
local function free(all, counted, ids)
  local users = {}
  for _, job in ipairs(redis.call('HMGET', counted, unpack(ids))) do
    local bytes, user = (job or ''):match('^(%d+) (.*)$')
    if bytes then
      local own = users[user] or {0, 0}
      own[1], own[2], users[user] = own[1] + 1, own[2] + bytes, own
    end
  end
  redis.call('HDEL', counted, unpack(ids))
  for user, own in pairs(users) do
    local key = all .. 'quota:' .. user
    local now = redis.pcall('HMGET', key, 'jobs', 'bytes')
    local jobs, bytes = tonumber(now[1] or nil), tonumber(now[2] or nil)
    if jobs and bytes then
      redis.call('HSET', key, 'jobs', string.format('%.0f', math.max(0, jobs - own[1])),
        'bytes', string.format('%.0f', math.max(0, bytes - own[2])))
    end
  end
end

