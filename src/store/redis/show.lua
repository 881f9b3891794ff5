-- Tells what counters of one site are about and how they stand; changes nothing.
-- KEYS: the counters.
-- ARGV: the driven clock's now, or 0.
-- For each counter: what it is about, empty where it is not there; how many places have run out and
-- how many are held; its history.
local clock = read_clock(ARGV[1])
local told = { 'shown', clock.now }
for _, key in ipairs(KEYS) do
  local fields, about, history = read_fields(key), '', new_history()
  local lost, held = 0, 0
  for at = 1, #fields, 2 do
    local name, value = fields[at], fields[at + 1]
    if name == 'd' then
      about = value
    elseif name == 'h' then
      history = read_history(value) or history
    elseif string.sub(name, 1, 2) == 'l:' then
      local expires, guesses = string.match(value, '^(%d+):(%d+)$')
      if expires and tonumber(expires) <= clock.now then
        lost = lost + tonumber(guesses)
      elseif expires then
        held = held + tonumber(guesses)
      end
    end
  end
  told[#told + 1] = about
  told[#told + 1] = string.format('%.0f %.0f ', lost, held)
    .. tell_history(history, math.max(clock.now, history.latest))
end
return told
