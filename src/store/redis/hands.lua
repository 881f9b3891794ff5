-- The locks by hand: adds one, or takes some away. Guards read them piece by piece, by themselves.
-- KEYS: the locks.
-- ARGV: the driven clock's now, or 0; then `now`, to be told what time it is; or `lock`, how many
--   there may be, on whom, for how long (`n`: without end), `longer` where one that lasts longer
--   stands, and what else is said; or `unlock`, and on whom, each.
local clock = read_clock(ARGV[1])
local locks = KEYS[1]
-- the same end, told twice, differs by how long it was on its way
local A_MOMENT = 1000

-- Until when a lock is in force; nothing where it is none.
local function ends_of(value)
  local ends = value and string.match(value, '^(%S+) ')
  ends = ends == 'n' and NEVER or tonumber(ends)
  return ends and ends > clock.now and ends or nil
end

-- Those that are over go.
local function sweep()
  local fields = redis.call('HGETALL', locks)
  for at = 1, #fields, 2 do
    if not ends_of(fields[at + 1]) then
      redis.call('HDEL', locks, fields[at])
    end
  end
end

if ARGV[2] == 'now' then
  return { 'now', clock.now }
elseif ARGV[2] == 'unlock' then
  local removed = 0
  for at = 3, #ARGV do
    if ends_of(redis.call('HGET', locks, ARGV[at])) then
      removed = removed + 1
    end
    redis.call('HDEL', locks, ARGV[at])
  end
  return { 'unlocked', clock.now, removed }
end

local most, field = tonumber(ARGV[3]), ARGV[4]
local ends = ARGV[5] == 'n' and NEVER or later(clock.now, tonumber(ARGV[5]))
local known = ends_of(redis.call('HGET', locks, field))
if known and ARGV[6] == 'longer' and known >= ends - A_MOMENT then
  return { 'known', clock.now }
elseif not known and redis.call('HLEN', locks) >= most then
  sweep()
  if redis.call('HLEN', locks) >= most then
    return { 'many', clock.now }
  end
end
local is_first = redis.call('EXISTS', locks) == 0
local written = ends >= NEVER and 'n' or string.format('%.0f', ends)
redis.call('HSET', locks, field, written .. ' ' .. ARGV[7])
-- all of them are kept until the last one is over
if clock.driven then
  redis.call('PEXPIRE', locks, DRIVEN_KEPT)
elseif ends >= NEVER then
  redis.call('PERSIST', locks)
elseif is_first then
  redis.call('PEXPIRE', locks, string.format('%.0f', ends - clock.now))
else
  redis.call('PEXPIRE', locks, string.format('%.0f', ends - clock.now), 'GT')
end
return { known and 'joined' or 'new', clock.now }
