-- The pace of a channel: when its queue may send next. The limits are those of channel_pace.py.

local MAX_WAIT = 3600000 -- the longest that Slack is believed when it asks to wait (slack/errors.py)

-- True for a time that was stored before the clock was set back by more than any wait.
local function is_from_other_clock(till) return till > NOW + MAX_WAIT + BURST * INTERVAL end

-- GCRA: PACE holds when a queue's quota is fully replenished; sending is allowed while that is less than a burst away.
local function replenished_at(name)
  local at = tonumber(redis.call('HGET', PACE, name) or 0)
  return is_from_other_clock(at) and 0 or at
end

local function free_at(name) return replenished_at(name) - (BURST - 1) * INTERVAL end

local function spend(name)
  redis.call('HSET', PACE, name, format_integer(math.max(replenished_at(name), NOW) + INTERVAL))
end

local function block(name, till)
  if free_at(name) < till then redis.call('HSET', PACE, name, format_integer(till + (BURST - 1) * INTERVAL)) end
end
