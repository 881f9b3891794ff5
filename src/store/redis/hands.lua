-- The locks by hand: reads them, adds one, or takes some away. Those that are over go.
-- KEYS: the locks.
-- ARGV: the driven clock's now, or 0; then `read`; or `lock`, how many there may be, on whom, for
--   how long (`n`: without end), `longer` where one that lasts longer stands, and what else is said;
--   or `unlock`, and on whom, each.
local clock = read_clock(ARGV[1])
local verb, locks, count = ARGV[2], {}, 0
-- the same end, told twice, differs by how long it was on its way
local A_MOMENT = 1000

local function written(ends, rest)
  return (ends >= NEVER and 'n' or string.format('%.0f', ends)) .. ' ' .. rest
end

local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  local value = fields[at + 1]
  local blank = string.find(value, ' ', 1, true)
  local ends = tonumber(string.sub(value, 1, blank - 1)) or NEVER
  if ends <= clock.now then
    redis.call('HDEL', KEYS[1], fields[at])
  else
    locks[fields[at]] = { ends = ends, rest = string.sub(value, blank + 1) }
    count = count + 1
  end
end

local told = { 'read', clock.now }
if verb == 'read' then
  for field, lock in pairs(locks) do
    told[#told + 1] = field
    told[#told + 1] = relative(lock.ends, clock.now)
    told[#told + 1] = lock.rest
  end
  return told
elseif verb == 'unlock' then
  local removed = 0
  for at = 3, #ARGV do
    if locks[ARGV[at]] then
      redis.call('HDEL', KEYS[1], ARGV[at])
      locks[ARGV[at]] = nil
      removed = removed + 1
    end
  end
  told = { 'unlocked', clock.now, removed }
else
  local field, known = ARGV[4], locks[ARGV[4]]
  local ends = ARGV[5] == 'n' and NEVER or later(clock.now, tonumber(ARGV[5]))
  if not known and count >= tonumber(ARGV[3]) then
    return { 'many', clock.now }
  elseif known and ARGV[6] == 'longer' and known.ends + A_MOMENT >= ends then
    return { 'known', clock.now }
  end
  redis.call('HSET', KEYS[1], field, written(ends, ARGV[7]))
  locks[field] = { ends = ends }
  told = { known and 'joined' or 'new', clock.now }
end
local last = 0
for _, lock in pairs(locks) do
  last = math.max(last, lock.ends)
end
if clock.driven then
  redis.call('PEXPIRE', KEYS[1], DRIVEN_KEPT)
elseif last >= NEVER then
  redis.call('PERSIST', KEYS[1])
elseif last > 0 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - clock.now))
end
return told
