-- Write down how attempts ended. ARGV, five for each: verb, key, attempt, what the verb needs, reason.
-- Answers for each the state it came to, 'parked', 'paused' or 'removed' for the one that brought that about, or 'lost'.
local LONGEST_PAUSE = 60000
local LONGEST_DELAY = 3600000 -- what is put off for longer is as new afterwards: its age counts from its next attempt
local verbs = {}

local function aged(f) return f.first and NOW - f.first > MAX_AGE end

local function again(key, f, till, reason)
  redis.call('HSET', note(key), 'state', 'pending', 'reason', reason)
  wait(key, f, till)
  return 'pending'
end

local function bury(key, reason)
  redis.call('HSET', note(key), 'state', 'dead', 'reason', reason)
  redis.call('EXPIRE', note(key), KEEP)
  redis.call('ZREM', OPEN, key)
  redis.call('ZADD', DEAD, int(NOW), key)
  redis.call('ZREMRANGEBYSCORE', DEAD, '-inf', int(NOW - KEEP * 1000))
  return 'dead'
end

local function give_up(key, f, reason)
  return bury(key, 'gave up after ' .. int((NOW - f.first) / 3600000) .. ' h: ' .. reason)
end

function verbs.sent(key, f, place)
  redis.call('DEL', PAUSE)
  if f.again then -- it was given another body while this one was on its way
    redis.call('HDEL', note(key), 'again', 'since', 'first')
    return again(key, f, NOW + EDIT_INTERVAL, '')
  end
  redis.call('ZREM', OPEN, key)
  redis.call('ZREM', DEAD, key)
  if f.root ~= '' then keep_root(f.root) end
  redis.call('SET', receipt(key), f.kind == 'edit' and place .. ' ' .. int(NOW) or place, 'EX', KEEP)
  if f.kind == 'root' then -- its body is kept for a while, in case that people delete it
    redis.call('HSET', note(key), 'state', 'sent')
    redis.call('EXPIRE', note(key), KEEP_BODY)
  else
    redis.call('DEL', note(key))
  end
  remember('sent', key)
  return 'sent'
end

function verbs.deferred(key, f, delay, reason)
  if aged(f) then return give_up(key, f, reason) end
  return again(key, f, NOW + delay, reason)
end

function verbs.held(key, f, delay, reason) -- deferred, and its whole queue with it
  block(queue_of(f.kind, f.channel), NOW + delay)
  if aged(f) then return give_up(key, f, reason) end
  return again(key, f, NOW, reason)
end

function verbs.snoozed(key, f, delay, reason)
  if tonumber(delay) > LONGEST_DELAY then redis.call('HDEL', note(key), 'first') end -- it waits for a time of its own
  return again(key, f, NOW + delay, reason)
end

function verbs.unknown(key, f, delay, reason) -- goes on as sending: when that time is over, somebody looks
  if aged(f) then return give_up(key, f, reason) end
  redis.call('HSET', note(key), 'state', 'sending', 'since', f.since or f.started, 'reason', reason)
  redis.call('ZADD', LEASES, int(NOW + delay), key)
  return 'sending'
end

function verbs.refused(key, f, _, reason)
  redis.call('DEL', PAUSE)
  return bury(key, reason)
end

function verbs.dropped(key, f, _, reason)
  drop(key, reason)
  return 'dropped'
end

function verbs.parked(key, f, _, reason)
  redis.call('DEL', PAUSE)
  redis.call('HDEL', note(key), 'first') -- its age counts anew from when the channel is mended
  local first = redis.call('HSETNX', PARKED, f.channel, '0 ' .. int(NOW) .. ' ' .. reason)
  redis.call('ZREM', DUE, f.channel)
  again(key, f, NOW, reason)
  return first == 1 and 'parked' or 'pending'
end

function verbs.halted(key, f, _, reason) -- nothing can be sent at all: ever longer pauses for everything
  redis.call('HDEL', note(key), 'first')
  again(key, f, NOW, reason)
  local step, probe = unpack(redis.call('HMGET', PAUSE, 'step', 'probe'))
  if step and probe ~= key then return 'pending' end -- it was on its way when another heard of it
  step = tonumber(step or 0) + 1
  local till = NOW + math.min(LONGEST_PAUSE, 1000 * 2 ^ (step - 1))
  redis.call('HSET', PAUSE, 'until', int(till), 'step', step, 'reason', reason)
  redis.call('HDEL', PAUSE, 'probe')
  return 'paused'
end

function verbs.gone(key, f, place, reason)
  redis.call('DEL', PAUSE)
  if replied(f.root) then
    drop(key, GONE)
    return 'dropped'
  end
  local found, root = place_of(f.root)
  if found == place and root ~= f.root then -- it was posted again already: somebody does not want it there
    redis.call('DEL', receipt(root))
    redis.call('HSET', REMOVED, root, f.channel)
    drop(root, GONE)
    drop(key, GONE)
    return 'removed'
  end
  if found == place then post_again(f.root, root, f) end
  return again(key, f, NOW, reason)
end

local function settle(verb, key, attempt, value, reason)
  local f = read(key, 'attempt', 'state', 'kind', 'channel', 'root', 'rank', 'again', 'since', 'started', 'first',
    'body', 'happened', 'critical', 'schema')
  if not f.state then -- the store forgot it: at least keep what is known
    local kept = verb == 'sent' and redis.call('SET', receipt(key), value, 'EX', KEEP, 'NX')
    return kept and 'sent' or 'lost'
  end
  local open = f.state == 'sending' or f.state == 'pending'
  if f.attempt ~= attempt or f.state == 'sent' or not (open or verb == 'sent') then return 'lost' end
  unplace(key, f)
  return verbs[verb](key, f, value, reason)
end

local states = {}
for at = OWN + 1, #ARGV, 5 do
  states[#states + 1] = settle(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
end
return states
