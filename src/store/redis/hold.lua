-- Takes places that a guard has given out alone, whether or not there is room for them. A counter
-- that knows the lease, or has counted it as lost, is left alone.
-- KEYS: the counters.
-- ARGV: the driven clock's now, or 0; not after then, or 0; how many guesses; the lease and for how
--   long; whom it is about; then for each counter its limit and what else it is about.
local clock = read_clock(ARGV[1])
local not_after, guesses, ttl = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
if not_after > 0 and clock.now > not_after then
  return { 'late', clock.now }
end
local counters = {}
for at, key in ipairs(KEYS) do
  local c = load(key, read_limit(ARGV[5 + 2 * at]), clock)
  if not c.leases[ARGV[4]] and not c.lost[ARGV[4]] and not c.over[ARGV[4]] then
    take(c, ARGV[4], guesses, ttl)
  end
  keep(c, ARGV[6 + 2 * at] .. ARGV[6])
  counters[at] = c
end
return answer('in', clock, counters)
