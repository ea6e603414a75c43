-- Prepended to scripts that bury: writes what Bull may forget about a job into a dead letter.
local SAVED_AS = {
  data = 'data', attemptsMade = 'attempts', stalledCounter = 'crashes', failedReason = 'error', timestamp = 'created_ms',
  processedOn = 'claimed_ms', finishedOn = '', returnvalue = '', stacktrace = '',
}

-- home is of `letters_at`; key is the hash of the job, before this attempt's failure is noted in it; user is whose it is, or ''.
local function bury(home, key, id, reason, user)
  local letter, fields = {reason = reason}, redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local name = SAVED_AS[fields[i]] or 'job.' .. fields[i]
    if name ~= '' then letter[name] = fields[i + 1] end
  end
  letter.attempts = (tonumber(letter.attempts) or 0) + 1
  write_letter(home, id, letter, user)
end

