-- Lets a lease run for longer; tells of each counter whether it still knows the lease.
-- KEYS: the counters.
-- ARGV: the driven clock's now, or 0; the lease; for how long; then for each counter for how long it
--   is kept at least, `n` without end.
local clock = read_clock(ARGV[1])
local known = { 'renewed', clock.now }
for at, key in ipairs(KEYS) do
  local lease = redis.pcall('HGET', key, ARGV[2])
  local guesses = type(lease) == 'string' and string.match(lease, ':(%d+)$')
  if guesses then
    local expires = string.format('%.0f', clock.now + tonumber(ARGV[3]))
    redis.call('HSET', key, ARGV[2], expires .. ':' .. guesses)
    if ARGV[3 + at] == 'n' then
      redis.call('PERSIST', key)
    else
      redis.call('PEXPIRE', key, ARGV[3 + at], 'GT')
    end
  end
  known[#known + 1] = guesses and 1 or 0
end
return known
