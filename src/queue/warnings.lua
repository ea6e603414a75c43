-- Prepended to the scripts that end claims: what they warn of.

-- Adds three values for each warning to what is returned: -1, 0, a user whose log was spoilt and is begun anew; -2, how many, a
-- user whose oldest letters went to make room for newer ones.
local function warnings(settled)
  local n = #settled
  for _, user in ipairs(renewed) do
    settled[n + 1], settled[n + 2], settled[n + 3] = -1, 0, user
    n = n + 3
  end
  for user, many in pairs(dropped) do
    settled[n + 1], settled[n + 2], settled[n + 3] = -2, many, user
    n = n + 3
  end
end

