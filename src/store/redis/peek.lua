-- How counters stand; changes nothing.
-- KEYS: the number of changes of the locks by hand; then the counters.
-- ARGV: the driven clock's now, or 0; the number of changes that is known; then for each counter
--   its limit.
local clock = read_clock(ARGV[1])
local changes, is_news = read_changes(KEYS[1], ARGV[2])
if is_news then
  return { 'hands', clock.now, changes }
end
local counters = {}
for at = 2, #KEYS do
  counters[at - 1] = load(KEYS[at], read_limit(ARGV[1 + at]), clock)
end
return answer('seen', clock, counters)
