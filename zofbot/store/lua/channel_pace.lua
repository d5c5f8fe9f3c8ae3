-- The pace of a channel: when its queue may send next. The limits are those of channel_pace.py.

local MAX_SKEW = 6000 -- milliseconds by which workers' clocks may differ (outbox.py)
local BLOCK = ':block' -- suffix of the field of PACE that holds since when and until when Slack asks a queue to wait

-- True for a time that would be at most `longest` ahead, unless the clock was set back since it was stored.
local function is_from_other_clock(time, longest) return time > NOW + longest + MAX_SKEW end

-- GCRA: PACE holds when a queue's quota is fully replenished; sending is allowed while that is less than a burst away.
local function replenished_at(name)
  local stored, block = unpack(redis.call('HMGET', PACE, name, name .. BLOCK))
  local at = tonumber(stored or 0)
  if is_from_other_clock(at, BURST * INTERVAL) then at = 0 end
  if not block then return at end
  local since, till = string.match(block, '(%d+) (%d+)')
  if is_from_other_clock(tonumber(since), 0) then
    redis.call('HDEL', PACE, name .. BLOCK)
    return at
  end
  return math.max(at, tonumber(till) + (BURST - 1) * INTERVAL)
end

local function free_at(name) return replenished_at(name) - (BURST - 1) * INTERVAL end

local function spend(name)
  redis.call('HSET', PACE, name, format_integer(math.max(replenished_at(name), NOW) + INTERVAL))
  redis.call('HDEL', PACE, name .. BLOCK)
end

local function block(name, till)
  if free_at(name) < till then
    redis.call('HSET', PACE, name .. BLOCK, format_integer(NOW) .. ' ' .. format_integer(till))
  end
end
