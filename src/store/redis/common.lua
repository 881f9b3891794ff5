-- What every script begins with: a counter as Redis keeps it, and what happens to it.
--
-- The functions on a history are those of `policy::lockout::History`; a test holds the two against
-- each other. A counter is a hash: `h` its history, `d` what it is about (for lists), `z` when it
-- was reset and until when that matters, `m` how many of its failures some guard saw on a server
-- before this one, `l:ID` for every lease, `expires:guesses`, `o:ID` for what a guard counted alone
-- and was taken in, until when that matters, and `x:ID` for a lease that is over and may still be
-- asked for, with until when. What cannot be read is not there.
-- Times are milliseconds; on their way to a guard they are relative to the counter's now.

local NEVER = 9007199254740991
local MOST = 4294967295
local MOST_TALLY = 65535
-- a driven clock is a test's: its counters are kept for an hour, whatever time it tells
local DRIVEN_KEPT = 3600000
-- whatever a guard remembers and offers again is not remembered for longer
local LONGEST_MATTERS = 2592000000
-- for how long a guard may be cut off and still tell what became of a lease that ran out meanwhile
local LOST_KNOWN = 3600000

local function later(moment, by)
  return math.min(NEVER, moment + by)
end

local function more(number, by, most)
  return math.min(most, number + by)
end

-- What time it is: the server's, or that of a driven clock.
local function read_clock(driven)
  if driven ~= '0' then
    return { now = tonumber(driven), driven = true }
  end
  local time = redis.call('TIME')
  return { now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) }
end

-- `failures t|l forget_after forget_lockouts_after cool_off...`; no cool-off is one without end.
local function read_limit(text)
  local failures, forget, after, tallies, rest =
    string.match(text, '^(%d+) ([tl]) (%d+) (%d+)(.*)$')
  local steps, longest = {}, 0
  for step in string.gmatch(rest, '%d+') do
    steps[#steps + 1] = tonumber(step)
    longest = math.max(longest, tonumber(step))
  end
  return {
    failures = tonumber(failures),
    leaks = forget == 'l',
    after = tonumber(after),
    tallies = tonumber(tallies),
    steps = steps,
    longest = #steps == 0 and NEVER or longest,
  }
end

-- The end of a lockout that begins at `from`, with so many before it.
local function cool_off_end(limit, from, tally)
  local step = limit.steps[tally + 1] or limit.steps[#limit.steps]
  return step and later(from, step) or NEVER
end

local function new_history()
  return {
    failures = 0, without = 0, refused = 0, attempts = 0, tally = 0, every = 0,
    latest = 0, forget_at = 0, tally_at = 0, locked = nil, spelling = '-',
  }
end

-- What was written; nothing where it is something else.
local function read_history(text)
  local failures, without, refused, attempts, tally, every, latest, forget_at, tally_at, locked,
    spelling = string.match(text,
      '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+)$')
  if not failures then
    return nil
  end
  return {
    failures = tonumber(failures), without = tonumber(without), refused = tonumber(refused),
    attempts = tonumber(attempts), tally = tonumber(tally), every = tonumber(every),
    latest = tonumber(latest), forget_at = tonumber(forget_at), tally_at = tonumber(tally_at),
    locked = tonumber(locked), spelling = spelling,
  }
end

local function write_history(h)
  return string.format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f %s %s',
    h.failures, h.without, h.refused, h.attempts, h.tally, h.every, h.latest, h.forget_at,
    h.tally_at, h.locked and string.format('%.0f', h.locked) or '-', h.spelling)
end

local function relative(moment, now)
  if moment >= NEVER then
    return 'n'
  end
  return string.format('%.0f', moment - now)
end

-- A number that a guard tells, as far as all can read it again.
local function hear_number(text, most)
  return math.min(most, tonumber(text))
end

local function absolute(text, now)
  if text == 'n' then
    return NEVER
  end
  return math.min(NEVER, math.max(0, now + tonumber(text)))
end

-- A history as a guard is told it, and tells it.
local function tell_history(h, now)
  return string.format('%.0f %.0f %.0f %.0f %.0f %.0f %s %s %s %s %s',
    h.failures, h.without, h.refused, h.attempts, h.tally, h.every, relative(h.latest, now),
    relative(h.forget_at, now), relative(h.tally_at, now),
    h.locked and relative(h.locked, now) or '-', h.spelling)
end

local function hear_history(text, now)
  local failures, without, refused, attempts, tally, every, latest, forget_at, tally_at, locked,
    spelling = string.match(text,
      '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  return {
    failures = hear_number(failures, MOST), without = hear_number(without, MOST),
    refused = hear_number(refused, MOST), attempts = hear_number(attempts, MOST_TALLY),
    tally = hear_number(tally, MOST_TALLY), every = hear_number(every, NEVER),
    latest = absolute(latest, now), forget_at = absolute(forget_at, now),
    tally_at = absolute(tally_at, now), locked = locked ~= '-' and absolute(locked, now) or nil,
    spelling = spelling,
  }
end

local function is_blank(h)
  return h.failures == 0 and h.tally == 0 and not h.locked
end

local function begin_anew(h)
  h.locked = nil
  h.failures = 0
  h.without = 0
  h.refused = 0
  h.spelling = '-'
end

local function lock(h, limit, from)
  h.locked = cool_off_end(limit, from, h.tally)
  if #limit.steps > 1 then
    h.tally = more(h.tally, 1, MOST_TALLY)
    h.tally_at = later(h.locked, limit.tallies)
  end
end

local function forget(h, now)
  if h.failures == 0 or now < h.forget_at then
    return
  end
  if h.every == 0 then
    return begin_anew(h)
  end
  local late = now - h.forget_at
  local steps = (late - late % h.every) / h.every + 1
  h.failures = math.max(0, h.failures - steps)
  h.without = math.min(h.without, h.failures)
  h.forget_at = later(h.forget_at, h.every * steps)
end

-- What is over is over, and a limit that has changed is held against the failures.
local function age(h, limit, now)
  if h.locked then
    if now >= h.locked then
      begin_anew(h)
    elseif h.failures >= limit.failures then
      return
    else
      h.locked = nil
      h.refused = 0
    end
  end
  forget(h, now)
  if h.tally > 0 and now >= h.tally_at then
    h.tally = 0
  end
  if h.failures >= limit.failures then
    if now >= cool_off_end(limit, h.latest, h.tally) then
      begin_anew(h)
    else
      lock(h, limit, h.latest)
    end
  end
end

local function forget_later(h, limit, now, first)
  if not limit.leaks then
    h.every = 0
    h.forget_at = later(now, limit.after)
    return
  end
  local was_together = h.every == 0
  h.every = math.max(1, (limit.after - limit.after % limit.failures) / limit.failures)
  if first or was_together then
    h.forget_at = later(now, h.every)
  end
end

local function spell(h, spelling)
  if h.spelling == '-' then
    h.spelling = spelling
  elseif h.spelling ~= spelling then
    h.spelling = '*'
  end
end

-- A failure; whether it begins a lockout. Of an aged history.
local function fail(h, limit, failure, now)
  local first = h.failures == 0
  if first then
    h.spelling = '-'
    h.without = 0
    h.attempts = 0
  end
  h.attempts = more(h.attempts, 1, MOST_TALLY)
  h.failures = more(h.failures, failure.guesses, MOST)
  if failure.without then
    h.without = more(h.without, failure.guesses, MOST)
  end
  spell(h, failure.spelling)
  h.latest = now
  forget_later(h, limit, now, first)
  local locks = not h.locked and h.failures >= limit.failures
  if locks then
    lock(h, limit, now)
  end
  return locks
end

local function refuse(h, limit, guesses, now)
  if h.locked then
    h.refused = more(h.refused, guesses, MOST)
    h.tally = math.max(0, h.tally - 1)
    lock(h, limit, now)
  end
end

local function succeed(h)
  if h.locked then
    return 0
  end
  local cleared = h.failures
  h.failures = 0
  h.without = 0
  h.spelling = '-'
  return cleared
end

local function pardon(h, limit)
  local pardoned = math.min(h.without, h.failures)
  h.failures = h.failures - pardoned
  h.without = 0
  if pardoned > 0 and h.failures < limit.failures and h.locked then
    h.locked = nil
    h.refused = 0
    h.tally = math.max(0, h.tally - 1)
  end
  return pardoned
end

-- When nothing of it counts any more, if nothing happens until then. Of an aged history.
local function blank_at(h)
  local at = 0
  if h.locked then
    at = h.locked
  elseif h.failures > 0 then
    at = later(h.forget_at, h.every * (h.failures - 1))
  end
  return h.tally > 0 and math.max(at, h.tally_at) or at
end

-- Leases that are over are failures that nobody has a verdict on, each at its end.
local function settle_lost(c, expired)
  table.sort(expired, function(a, b)
    return a.expires < b.expires or (a.expires == b.expires and a.name < b.name)
  end)
  for _, lease in ipairs(expired) do
    local at = math.max(lease.expires, c.history.latest)
    age(c.history, c.limit, at)
    local failure = { guesses = lease.guesses, without = true, spelling = '*' }
    fail(c.history, c.limit, failure, at)
    c.gone[#c.gone + 1] = lease.name
    c.lost[lease.name] = true
    c.is_changed = true
  end
end

-- How often the locks by hand have changed, as this site was told; whether that is not what is known.
-- Who has read them often enough says that it knows (`*`).
local function read_changes(key, known)
  local changes = redis.pcall('GET', key)
  changes = type(changes) == 'string' and changes or '0'
  return changes, known ~= '*' and changes ~= known
end

-- The fields of a counter, one after the other.
local function read_fields(key)
  local fields = redis.pcall('HGETALL', key)
  if fields.err then
    redis.call('DEL', key) -- whoever names a key like this means a counter
    return {}
  end
  return fields
end

-- The counter of a key as it stands now under its limit.
local function load(key, limit, clock)
  local c = {
    key = key, limit = limit, clock = clock, history = nil, places = 0, leases = {}, last = 0,
    over = {}, over_until = 0, gone = {}, lost = {}, found = 0, cleared = 0, began = 0, taken = {},
    taken_matters = 0,
  }
  local fields, expired = read_fields(key), {}
  for at = 1, #fields, 2 do
    local name, value = fields[at], fields[at + 1]
    if name == 'h' then
      c.history = read_history(value)
    elseif name == 'd' then
      c.is_described = true
    elseif name == 'z' then
      local reset_at, matters = string.match(value, '^(%d+):(%d+)$')
      c.reset_at, c.reset_matters = tonumber(reset_at), tonumber(matters)
    elseif name == 'm' then
      local common, server = string.match(value, '^(%d+) (%S+)$')
      c.common, c.common_of = tonumber(common), server
    elseif string.sub(name, 1, 2) == 'o:' then
      local matters = tonumber(value) or 0
      if matters <= clock.now then
        c.gone[#c.gone + 1] = name
      else
        c.taken[name] = true
        c.taken_matters = math.max(c.taken_matters, matters)
      end
    elseif string.sub(name, 1, 2) == 'l:' then
      local expires, guesses = string.match(value, '^(%d+):(%d+)$')
      local lease = { name = name, expires = tonumber(expires), guesses = tonumber(guesses) }
      if not expires then
        c.gone[#c.gone + 1] = name
      elseif lease.expires <= clock.now then
        expired[#expired + 1] = lease
      else
        c.leases[name] = lease
        c.places = c.places + lease.guesses
        c.last = math.max(c.last, lease.expires)
      end
    elseif string.sub(name, 1, 2) == 'x:' then
      local over_until = tonumber(value) or 0
      if over_until <= clock.now then
        c.gone[#c.gone + 1] = name
      else
        c.over['l' .. string.sub(name, 2)] = true
        c.over_until = math.max(c.over_until, over_until)
      end
    end
  end
  c.exists = #fields > 0
  c.history = c.history or new_history()
  if #expired > 0 then
    settle_lost(c, expired)
  end
  -- time does not go back, whatever happens to the server's clock
  c.now = math.max(clock.now, c.history.latest)
  age(c.history, limit, c.now)
  return c
end

local function room(c, guesses)
  local h, least = c.history, c.history.failures + guesses
  if h.locked then
    return 'locked'
  elseif least > c.limit.failures then
    return 'many'
  elseif least + c.places > c.limit.failures then
    return 'full'
  end
  return 'free'
end

-- What becomes of an attempt as its counters stand.
local function judge(counters, guesses)
  local verdict = 'in'
  for _, c in ipairs(counters) do
    local of_this = room(c, guesses)
    if of_this == 'locked' then
      return 'locked'
    elseif of_this == 'many' or (of_this == 'full' and verdict == 'in') then
      verdict = of_this
    end
  end
  return verdict
end

local function take(c, name, guesses, ttl)
  local lease = { name = name, expires = c.clock.now + ttl, guesses = guesses }
  c.leases[name] = lease
  c.places = c.places + guesses
  c.last = math.max(c.last, lease.expires)
  redis.call('HSET', c.key, name, string.format('%.0f:%.0f', lease.expires, guesses))
  c.exists = true
end

local function give_back(c, name)
  local lease = c.leases[name]
  if not lease then
    return false
  end
  c.leases[name] = nil
  c.places = c.places - lease.guesses
  c.gone[#c.gone + 1] = name
  return true
end

-- A lease is over: whoever asks for it within so long comes too late, or says it again.
local function put_over(c, name, ms)
  local over_until = c.clock.now + ms
  redis.call('HSET', c.key, 'x' .. string.sub(name, 2), string.format('%.0f', over_until))
  c.over_until = math.max(c.over_until, over_until)
  c.exists = true
  c.is_changed = true
end

-- When nothing of it is worth keeping, also if all who hold places fail.
local function kept_until(c)
  local at = math.max(blank_at(c.history), c.reset_matters or 0, c.taken_matters, c.over_until)
  if c.places == 0 then
    return at
  end
  local limit = c.limit
  at = math.max(at, later(c.last, math.max(limit.after, limit.failures)))
  if c.history.failures + c.places >= limit.failures then
    local tallies = #limit.steps > 1 and limit.tallies or 0
    at = math.max(at, later(later(c.last, limit.longest), tallies))
  end
  return at
end

-- Writes what has changed of a counter; `about` describes one that is new.
local function keep(c, about)
  for _, name in ipairs(c.gone) do
    redis.call('HDEL', c.key, name)
  end
  for name in pairs(c.lost) do
    put_over(c, name, LOST_KNOWN) -- whose guard comes back later must not be charged for it again
  end
  local matters = math.max(c.reset_matters or 0, c.taken_matters, c.over_until) > c.clock.now
  if is_blank(c.history) and c.places == 0 and not matters then
    if c.exists then
      redis.call('DEL', c.key)
    end
    return
  end
  if c.is_changed then
    redis.call('HSET', c.key, 'h', write_history(c.history))
  end
  if about and not c.is_described then
    redis.call('HSET', c.key, 'd', about)
  end
  local kept = kept_until(c)
  if c.clock.driven then
    redis.call('PEXPIRE', c.key, DRIVEN_KEPT)
  elseif kept >= NEVER then
    redis.call('PERSIST', c.key)
  else
    redis.call('PEXPIRE', c.key, string.format('%.0f', math.max(1, kept - c.clock.now)))
  end
end

-- For how long a guard may remember what it saw of a counter, and offer it again.
local function matters_for(limit)
  return math.min(LONGEST_MATTERS, math.max(limit.after, limit.longest) + limit.tallies)
end

-- Whoever remembers what was taken away at `at`, and offers it again within `matters`, is not
-- believed.
local function remember_reset(c, at, matters)
  if at >= (c.reset_at or 0) then
    c.reset_at = at
    c.reset_matters = math.max(c.reset_matters or 0, later(c.clock.now, matters))
    redis.call('HSET', c.key, 'z', string.format('%.0f:%.0f', c.reset_at, c.reset_matters))
    c.exists = true
    c.is_changed = true
  end
end

-- Settles what an attempt came to on one counter: f(ailure) or n(o verdict) with its guesses,
-- c(lear), s (clear what was spelled the same), or o, which leaves it as it has become.
local function apply(c, action, spelling)
  local kind, guesses = string.match(action, '^(.)(%d*)$')
  if kind == 'f' or kind == 'n' then
    local failure = { guesses = tonumber(guesses), without = kind == 'n', spelling = spelling }
    c.began = fail(c.history, c.limit, failure, c.now) and 1 or 0
  elseif kind == 'c' or (kind == 's' and c.history.spelling == spelling) then
    c.cleared = succeed(c.history)
    if c.cleared > 0 then
      remember_reset(c, c.now, math.min(LONGEST_MATTERS, c.limit.after))
    end
  end
  c.is_changed = true
end

-- A counter as a guard is told it.
local function tell(c)
  return string.format('%.0f %d %.0f %d ', c.places, c.found, c.cleared, c.began)
    .. tell_history(c.history, c.now)
end

local function answer(what, clock, counters)
  local told = { what, clock.now }
  for _, c in ipairs(counters) do
    told[#told + 1] = tell(c)
  end
  return told
end
