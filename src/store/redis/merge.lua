-- Adds what a guard knows of counters to what is known here: of what both may have seen, the larger
-- number and the later time, so that doing it again changes nothing; then failures that nobody but
-- that guard knows of. What is older than a reset is not believed.
-- KEYS: the counters.
-- ARGV: the driven clock's now, or 0; then for each counter its limit; what the guard saw of it, or
--   `-`; the name of this server where that was on one before it, or `-`; failures that only the
--   guard knows of: under which number it offers them, with a verdict, without one, how long ago the
--   latest was, and the spelling; and what the counter is about.
-- Of each counter it is told as found whether it counts more, and as cleared whether it is new.
local clock = read_clock(ARGV[1])

-- Without what is left behind by failures that are forgotten, which means nothing.
local function bare(h)
  if h.failures == 0 then
    h.without, h.refused, h.attempts, h.every, h.forget_at = 0, 0, 0, 0, 0
    h.spelling = '-'
    if is_blank(h) then
      h.latest, h.tally_at = 0, 0
    end
  end
  return h
end

local function larger(a, b)
  if a and b then
    return math.max(a, b)
  end
  return a or b
end

-- Two histories of one counter as one: `History::merged`.
local function merged(own, other)
  if is_blank(own) or is_blank(other) then
    return is_blank(own) and other or own
  end
  local h = {
    failures = math.max(own.failures, other.failures),
    attempts = math.max(own.attempts, other.attempts),
    refused = math.max(own.refused, other.refused),
    latest = math.max(own.latest, other.latest),
    locked = larger(own.locked, other.locked),
    tally = math.max(own.tally, other.tally),
    tally_at = math.max(own.tally_at, other.tally_at),
  }
  local last, more_of = own, own
  if own.failures == 0 then
    last = other
  elseif other.failures > 0 and (other.forget_at > own.forget_at
    or (other.forget_at == own.forget_at and other.every > own.every)) then
    last = other
  end
  h.forget_at, h.every = last.forget_at, last.every
  if other.failures > own.failures then
    more_of = other
  end
  h.without, h.spelling = more_of.without, more_of.spelling
  if own.failures == other.failures then
    h.without = math.min(own.without, other.without)
  end
  if own.failures > 0 and other.failures > 0 and own.spelling ~= other.spelling then
    h.spelling = '*'
  end
  return h
end

-- Whether two are the same but for less than a second: clocks of two machines do not agree on more.
local function is_like(a, b)
  for name in pairs({ failures = 1, without = 1, refused = 1, attempts = 1, tally = 1,
    every = 1, spelling = 1 }) do
    if a[name] ~= b[name] then
      return false
    end
  end
  for _, name in ipairs({ 'latest', 'forget_at', 'tally_at', 'locked' }) do
    if (a[name] == nil) ~= (b[name] == nil) or math.abs((a[name] or 0) - (b[name] or 0)) >= 1000 then
      return false
    end
  end
  return true
end

-- Failures that were counted elsewhere alone, until then.
local function add(c, guesses, without, at, spelling)
  if guesses > 0 then
    age(c.history, c.limit, at)
    fail(c.history, c.limit, { guesses = guesses, without = without, spelling = spelling }, at)
  end
end

-- What a guard saw on a server before this one is part of what others saw there, and of nothing
-- that came since: not of what they counted alone either.
local function merge_seen(c, text, server)
  local own, other = bare(c.history), hear_history(text, c.now)
  other.latest = math.min(other.latest, c.now)
  if other.latest <= (c.reset_at or -1) then
    return
  end
  age(other, c.limit, c.now)
  other = bare(other)
  c.history = merged(own, other)
  if server ~= '-' and not own.locked and not other.locked then
    if own ~= c.history then
      local unknown = math.max(0, other.failures - c.common)
      c.history.failures = more(own.failures, unknown, MOST)
      c.history.without = math.min(c.history.without, c.history.failures)
      bare(c.history)
    end
    if other.failures > c.common then
      c.common = other.failures
      redis.call('HSET', c.key, 'm', string.format('%.0f %s', c.common, server))
      c.exists = true
    end
  end
end

local function merge(c, offer)
  local was_blank = is_blank(c.history)
  local before = read_history(write_history(bare(c.history)))
  local server = offer.server
  if c.common_of ~= server then
    -- nobody has told of what was before; what is here some guard may have seen
    c.common, c.common_of = c.history.failures, server
    if server ~= '-' then
      redis.call('HSET', c.key, 'm', string.format('%.0f %s', c.common, server))
      c.exists = true
      c.is_changed = true
    end
  end
  if offer.seen ~= '-' then
    merge_seen(c, offer.seen, server)
  end
  local latest = clock.now - offer.ago
  local is_news = offer.with + offer.without > 0 and not c.taken[offer.id]
  if is_news and latest > (c.reset_at or -1) then
    local at = math.min(c.now, math.max(latest, c.history.latest))
    add(c, offer.with, false, at, offer.spelling)
    add(c, offer.without, true, at, offer.spelling)
    c.taken_matters = math.max(c.taken_matters, later(clock.now, matters_for(c.limit)))
    redis.call('HSET', c.key, offer.id, string.format('%.0f', c.taken_matters))
    c.taken[offer.id] = true
    c.exists = true
    c.is_changed = true
  end
  age(c.history, c.limit, c.now)
  if write_history(c.history) ~= write_history(before) then
    c.is_changed = true
  end
  if not is_like(c.history, before) then
    c.found = 1
    c.cleared = was_blank and 1 or 0
  end
end

local counters = {}
for at, key in ipairs(KEYS) do
  local first = 9 * at - 7
  local c = load(key, read_limit(ARGV[first]), clock)
  merge(c, {
    seen = ARGV[first + 1], server = ARGV[first + 2], id = ARGV[first + 3],
    with = tonumber(ARGV[first + 4]), without = tonumber(ARGV[first + 5]),
    ago = tonumber(ARGV[first + 6]), spelling = ARGV[first + 7],
  })
  if c.is_changed or #c.gone > 0 or not c.is_described then
    keep(c, ARGV[first + 8])
  end
  counters[at] = c
end
return answer('settled', clock, counters)
