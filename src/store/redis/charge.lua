-- Settles an attempt that holds no places, unless a counter is locked or has too little left.
-- KEYS: the counters.
-- ARGV: the driven clock's now, or 0; not after then, or 0; how many guesses; whom it is about;
--   then for each counter its limit, what is done to it, the spelling, and what else it is about.
local clock = read_clock(ARGV[1])
local not_after, guesses = tonumber(ARGV[2]), tonumber(ARGV[3])
if not_after > 0 and clock.now > not_after then
  return { 'late', clock.now }
end
local counters = {}
for at, key in ipairs(KEYS) do
  counters[at] = load(key, read_limit(ARGV[1 + 4 * at]), clock)
end
local verdict = judge(counters, guesses)
if verdict == 'full' then
  -- others hold places there: theirs stay, this one counts besides
  verdict = 'in'
end
for at, c in ipairs(counters) do
  local action = ARGV[2 + 4 * at]
  if verdict == 'in' and action ~= '-' then
    apply(c, action, ARGV[3 + 4 * at])
    keep(c, ARGV[4 + 4 * at] .. ARGV[4])
  elseif c.is_changed then
    keep(c)
  end
end
return answer(verdict, clock, counters)
