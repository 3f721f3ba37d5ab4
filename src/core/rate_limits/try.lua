-- One try, in one piece: takes a token from a bucket, and says how many microseconds
-- there are until it may be repeated; 0 when it may go on.
--
-- KEYS: the bucket; for a try at an account also the refusal of this address at it, and the
-- bucket of its passes.
-- ARGV: the bucket's burst and pace (microseconds for a token), the time (microseconds
-- since the epoch; empty for this server's), and for an account how long an address
-- waits from its first refusal, and when its wait begins anew (microseconds), and burst and
-- pace of the passes.

local now = tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- Numbers as a whole, or they would be written as 1.7e+15.
local function keep(key, time, lifetime)
  redis.call('SET', key, string.format('%.0f', time), 'PX', math.ceil(lifetime / 1000))
end

-- A bucket is kept as the time at which it is full again (GCRA). None is further from
-- that than an empty one, which is what it becomes when this server's clock was set back.
local function take(key, burst, every)
  local to_fill = burst * every
  local kept = tonumber(redis.call('GET', key)) or now
  local full = math.min(math.max(kept, now), now + to_fill)
  if full + every <= now + to_fill then
    keep(key, full + every, to_fill)
    return 0
  end
  if full < kept then
    keep(key, full, to_fill)
  end
  return full + every - to_fill - now
end

local left = take(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]))
if left == 0 or not KEYS[2] then
  return left
end

local wait, ends = tonumber(ARGV[4]), tonumber(ARGV[5])
local since = tonumber(redis.call('GET', KEYS[2]))
-- One from the future is from before this server's clock was set back.
if since and since <= now and now - since <= ends then
  if now - since < wait then
    return since + wait - now
  end
  left = take(KEYS[3], tonumber(ARGV[6]), tonumber(ARGV[7]))
  if left == 0 then
    redis.call('DEL', KEYS[2])
  end
  return left
end
keep(KEYS[2], now, ends)
return wait
