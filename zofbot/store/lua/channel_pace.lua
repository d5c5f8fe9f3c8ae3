-- The pace of a channel: when its queue may send next. The limits are those of channel_pace.py.

local MAX_SKEW = 30000 -- milliseconds by which workers' clocks may differ and end no wait: MAX_CLOCK_SKEW_SECONDS
local MAX_WAIT = 3600000 -- the longest that Slack is believed when it asks to wait (slack/errors.py)
local BLOCK = ':block' -- suffix of the field of PACE that holds since when and until when Slack asks a queue to wait
local MARK = '.0' -- ends the times in PACE: earlier versions, which read any number, stored integers

local CLOCK, CLOCK_INTERVAL = ':clock', 10000 -- field of PACE: a time of the last claims, and after how long it is renewed (ms)

-- True for a time that would be at most `longest` ahead, unless the clock was set back since it was stored.
local function is_from_other_clock(time, longest) return time > NOW + longest + MAX_SKEW end

local function store_pace(name, at) redis.call('HSET', PACE, name, format_integer(at) .. MARK) end

-- The wait is stored as a pace, too: workers of an earlier version know no other.
local function store_block(name, till)
  redis.call('HSET', PACE, name .. BLOCK, format_integer(NOW) .. ' ' .. format_integer(till))
  store_pace(name, till + (BURST - 1) * INTERVAL)
end

-- When a queue with this pace may send next.
local function free_from(pace) return pace - (BURST - 1) * INTERVAL end

-- Earlier versions stored what Slack asks for as a pace, without the mark. A pace that is only so far ahead because the clock
-- was set back since looks the same. It is believed, once: a channel that is silent for up to an hour after an update is a
-- lesser evil than calls that Slack has just refused, again and again while workers of both versions run.
local function adopt_block_of_earlier_version(name, at)
  store_block(name, free_from(at))
  return at
end

-- GCRA: PACE holds when a queue's quota is fully replenished; sending is allowed while that is less than a burst away.
local function replenished_at(name)
  local stored, block = unpack(redis.call('HMGET', PACE, name, name .. BLOCK))
  local at = tonumber(stored) or 0
  if is_from_other_clock(at, BURST * INTERVAL) then
    local is_marked = string.sub(stored, -#MARK) == MARK
    local is_block = not is_marked and not is_from_other_clock(at, BURST * INTERVAL + MAX_WAIT)
    if is_block then return adopt_block_of_earlier_version(name, at) end
    at = 0
  end
  if not block then return at end
  local since, till = string.match(block, '(%d+) (%d+)')
  if not till or tonumber(till) <= NOW or is_from_other_clock(tonumber(since), 0) then
    redis.call('HDEL', PACE, name .. BLOCK)
    return at
  end
  return math.max(at, tonumber(till) + (BURST - 1) * INTERVAL)
end

local function free_at(name) return free_from(replenished_at(name)) end

-- Count one message, and return the new pace.
local function spend(name, pace)
  local at = math.max(pace, NOW) + INTERVAL
  store_pace(name, at)
  return at
end

local function block(name, till)
  if free_at(name) < till then store_block(name, till) end
end
