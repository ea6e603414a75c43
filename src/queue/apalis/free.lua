-- Prepended to the script that settles: jobs that came in over HTTP have left their queue, and no longer count for their users.
-- all   prefix of what belongs to all queues
-- owed  for each job, `<bytes> <user>`, as push.lua has written it
local function free(all, owed)
  local users = {}
  for _, job in ipairs(owed) do
    local bytes, user = job:match('^(%d+) (.*)$')
    if bytes then
      local own = users[user] or {0, 0}
      own[1], own[2], users[user] = own[1] + 1, own[2] + bytes, own
    end
  end
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

