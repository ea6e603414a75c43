-- Prepended to scripts that need it: whether a string is UTF-8, as all ids from producers in Rust and Node are.
local function is_text(text)
  if not text:find('[\128-\255]') then return true end
  local starts = {
    '[\194-\223]', '\224[\160-\191]', '[\225-\236\238\239][\128-\191]', '\237[\128-\159]',
    '\240[\144-\191][\128-\191]', '[\241-\243][\128-\191][\128-\191]', '\244[\128-\143][\128-\191]',
  }
  for _, start in ipairs(starts) do
    text = text:gsub(start .. '[\128-\191]', '?')
  end
  return not text:find('[\128-\255]')
end

