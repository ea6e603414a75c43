-- Prepended to scripts that bury: moves a job from the queue into a dead letter.
local SAVED_AS = {
  attempts = 'attempts', ['octavo:crashes'] = 'crashes', ['octavo:error'] = 'error',
  ['octavo:claimed_at'] = 'created_ms', ['octavo:last_claim'] = 'claimed_ms', status = '', ['octavo:lease'] = '',
}

-- home is of `letters_at`; data is the key of the hash of data by id, meta that of the job's metadata;
-- user is whose it is, if that is known.
local function bury(home, data, meta, id, reason, user)
  local letter = {data = redis.call('HGET', data, id), reason = reason}
  local fields = redis.pcall('HGETALL', meta)
  for i = 1, fields.err and 0 or #fields, 2 do
    local name = SAVED_AS[fields[i]] or 'job.' .. fields[i]
    if name ~= '' then letter[name] = fields[i + 1] end
  end
  -- The first claim may have been the only one.
  letter.claimed_ms = letter.claimed_ms or letter.created_ms
  -- An id that nobody could ask for is escaped, so that it can be asked for.
  local named = is_text(id) and id or id:gsub('[\128-\255]', function(byte) return string.format('\\x%02x', byte:byte()) end)
  write_letter(home, named, letter, user or '')
  redis.call('HDEL', data, id)
  redis.call('DEL', meta)
end

