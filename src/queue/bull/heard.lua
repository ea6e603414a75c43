-- Prepended to scripts that publish something for each job.

-- Whether to publish `jobs` messages on these channels: if anybody may hear them, be it a subscriber here, perhaps of a
-- pattern, or one of a replica, which may yet come back. Asking costs as much as some jobs: fewer than 16 are published
-- unasked.
local function heard(jobs, ...)
  if jobs < 16 then return true end
  local patterns, channels = redis.pcall('PUBSUB', 'NUMPAT'), redis.pcall('PUBSUB', 'NUMSUB', ...)
  local replication = redis.pcall('INFO', 'replication')
  -- If we may not ask, we publish.
  if patterns ~= 0 or channels.err or type(replication) ~= 'string' then return true end
  for i = 2, #channels, 2 do
    if channels[i] > 0 then return true end
  end
  return not replication:find('repl_backlog_active:0', 1, true)
end
