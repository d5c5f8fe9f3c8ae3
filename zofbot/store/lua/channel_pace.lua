-- The pace of a channel: when its queue may send next. The limits are those of channel_pace.py.

-- GCRA: PACE holds when a queue's quota is fully replenished; sending is allowed while that is less than a burst away.
local function free_at(name)
  return tonumber(redis.call('HGET', PACE, name) or 0) - (BURST - 1) * INTERVAL
end

local function spend(name)
  local replenished_at = math.max(tonumber(redis.call('HGET', PACE, name) or 0), NOW)
  redis.call('HSET', PACE, name, format_integer(replenished_at + INTERVAL))
end

local function block(name, till)
  if free_at(name) < till then redis.call('HSET', PACE, name, format_integer(till + (BURST - 1) * INTERVAL)) end
end
