-- Takes a place in each counter for each guess, in all of them or in none.
-- KEYS: the number of changes of the locks by hand; then the counters.
-- ARGV: the driven clock's now, or 0; not after then, or 0; the number of changes that is known
--   (`*`: whatever it is); how many guesses; the lease and for how long; `c` where refusals count; whom it is about;
--   then for each counter its limit and what else it is about.
local clock = read_clock(ARGV[1])
local not_after, guesses, ttl = tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[6])
if not_after > 0 and clock.now > not_after then
  return { 'late', clock.now }
end
local changes, is_news = read_changes(KEYS[1], ARGV[3])
if is_news then
  return { 'hands', clock.now, changes }
end
local counters = {}
for at = 2, #KEYS do
  counters[at - 1] = load(KEYS[at], read_limit(ARGV[5 + 2 * at]), clock)
end
local first = counters[1]
if first and first.over[ARGV[5]] then
  return { 'late', clock.now } -- it was given back before it came
elseif first and first.leases[ARGV[5]] then
  return answer('in', clock, counters) -- it comes twice, and all of them or none have it
end
local verdict = judge(counters, guesses)
for at, c in ipairs(counters) do
  if verdict == 'in' then
    take(c, ARGV[5], guesses, ttl)
    keep(c, ARGV[8 + 2 * at] .. ARGV[8])
  elseif verdict == 'locked' and ARGV[7] == 'c' and c.history.locked then
    refuse(c.history, c.limit, guesses, c.now)
    c.is_changed = true
    keep(c)
  elseif c.is_changed then
    keep(c)
  end
end
return answer(verdict, clock, counters)
