-- Takes away what an operator means of counters; leases stay.
-- KEYS: the counters.
-- ARGV: the driven clock's now, or 0; how long ago the operator meant it; `all`, or `pardon` for the
--   failures without a verdict, or `age` where other limits are in force; then for each counter its
--   limit.
local clock = read_clock(ARGV[1])
local meant_at = clock.now - tonumber(ARGV[2])
local counters = {}
for at, key in ipairs(KEYS) do
  local c = load(key, read_limit(ARGV[3 + at]), clock)
  -- what seems to be later than now was before the server's clock was set back
  local is_older = c.history.latest <= meant_at or c.history.latest > clock.now
  if is_older and ARGV[3] == 'pardon' then
    c.found = pardon(c.history, c.limit) > 0 and 1 or 0
    c.is_changed = c.is_changed or c.found == 1
  elseif is_older and ARGV[3] == 'all' then
    c.found = is_blank(c.history) and 0 or 1
    c.is_changed = true
    c.history = new_history()
  elseif ARGV[3] == 'age' then
    c.is_changed = true
  end
  if ARGV[3] == 'all' then
    remember_reset(c, meant_at, matters_for(c.limit))
  end
  if c.is_changed then
    keep(c)
  end
  counters[at] = c
end
return answer('reset', clock, counters)
