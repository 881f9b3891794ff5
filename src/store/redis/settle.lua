-- Ends a lease: its places are free again, and what it came to is charged or cleared, unless the
-- counter was reset since. A counter that does not know the lease is left alone, but where the guard
-- is `sure` that it still runs: then the server has lost it, and a failure counts all the same; or
-- where a server before this one may have heard of it, and the counter has no more failures than
-- were seen there (`unseen`, with a number for each).
-- KEYS: the counters.
-- ARGV: the driven clock's now, or 0; the lease; `sure`, `unseen …` or nothing; how long ago it ended; for how
--   long it is remembered that it is over, where it may be asked for again; then for each counter its
--   limit, what is done to it (`-` where the places are given back), and the spelling.
local clock = read_clock(ARGV[1])
local ended = clock.now - tonumber(ARGV[4])
local counters, seen = {}, {}
if string.sub(ARGV[3], 1, 6) == 'unseen' then
  for number in string.gmatch(ARGV[3], '%-?%d+') do
    seen[#seen + 1] = tonumber(number)
  end
end
for at, key in ipairs(KEYS) do
  local c = load(key, read_limit(ARGV[3 + 3 * at]), clock)
  local action, spelling = ARGV[4 + 3 * at], ARGV[5 + 3 * at]
  c.found = give_back(c, ARGV[2]) and 1 or 0
  local is_unknown = ARGV[3] == 'sure' or (seen[at] and c.history.failures <= seen[at])
  local is_owed = c.found == 1
    or (is_unknown and not c.lost[ARGV[2]] and not c.over[ARGV[2]])
  if ARGV[5] ~= '0' then
    put_over(c, ARGV[2], tonumber(ARGV[5]))
  end
  -- what ends now ended after whatever was reset in this very millisecond
  local counts = ended == clock.now or ended > (c.reset_at or -1)
  if action ~= '-' and is_owed and counts then
    apply(c, action, spelling)
  end
  if c.is_changed or #c.gone > 0 then
    keep(c)
  end
  counters[at] = c
end
return answer('settled', clock, counters)
