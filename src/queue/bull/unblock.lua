-- Prepended to the scripts that claim and settle.

-- Deletes jobs with an id under which Bull keeps something else: such a job blocks the whole queue.
local function unblock(prefix)
  for _, id in ipairs({'wait', 'active', 'delayed', 'priority', 'completed', 'failed', 'stalled', 'stalled-check'}) do
    if redis.call('TYPE', prefix .. id).ok == 'hash' then redis.call('DEL', prefix .. id) end
  end
end

