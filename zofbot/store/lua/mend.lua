-- What an operator does. ARGV: verb, key or channel, and an entry for the audit (the last of KEYS) or nothing. Answers
-- 'outdated', or how many notifications it moved.
local VERB, NAME, ACT = ARGV[OWN + 1], ARGV[OWN + 2], ARGV[OWN + 3]
local LONGEST_STREAM = 100000
local verbs = {}
if outdated() then return 'outdated' end

-- An attempt that was refused may have got through nevertheless: where there was one, it is looked for first.
local function revive(key, f)
  unplace(key, f)
  local since = f.since or f.first or f.started
  if since then redis.call('HSET', note(key), 'since', since) end
  redis.call('HSET', note(key), 'state', 'pending')
  redis.call('HDEL', note(key), 'reason', 'first')
  redis.call('PERSIST', note(key))
  redis.call('ZREM', DEAD, key)
  redis.call('LREM', RECENT.dropped, 0, key)
  if not redis.call('ZSCORE', OPEN, key) then redis.call('ZADD', OPEN, int(NOW), key) end
  enqueue(key, f)
end

-- Dead or dropped: once more from the start. Waiting: now.
-- What was dropped because this was lost comes along.
function verbs.retry(key)
  local f = read(key, 'state', 'kind', 'channel', 'rank', 'since', 'first', 'started')
  if f.state ~= 'dead' and f.state ~= 'dropped' and f.state ~= 'pending' then return 0 end
  if not f.rank then return 0 end -- what it said is not kept any more
  for _, child in ipairs(f.state ~= 'pending' and redis.call('LRANGE', RECENT.dropped, 0, -1) or {}) do
    local its = read(child, 'state', 'kind', 'channel', 'rank', 'root', 'reason', 'since', 'first', 'started')
    if its.root == key and its.reason == 'its root is ' .. f.state then revive(child, its) end
  end
  revive(key, f)
  return 1
end

function verbs.drop(key)
  local f = read(key, 'state', 'kind', 'channel')
  if f.state ~= 'dead' and f.state ~= 'pending' then return 0 end -- one that is being sent is no longer ours to stop
  unplace(key, f)
  redis.call('ZREM', DEAD, key)
  drop(key, 'dropped by an operator')
  return 1
end

-- Nothing is left of it, however it was settled; one that is being sent is no longer ours to stop.
function verbs.forget(key)
  local f = read(key, 'state', 'kind', 'channel')
  if f.state == 'sending' then return 0 end
  if f.state then unplace(key, f) end
  redis.call('DEL', note(key), receipt(key))
  redis.call('ZREM', OPEN, key)
  redis.call('ZREM', DEAD, key)
  for _, recent in pairs(RECENT) do redis.call('LREM', recent, 0, key) end
  return 1
end

function verbs.told(channel)
  local known = redis.call('HGET', PARKED, channel)
  if not known then return 0 end
  redis.call('HSET', PARKED, channel, '1' .. string.sub(known, 2))
  return 1
end

function verbs.told_of_removal(key)
  return redis.call('HDEL', REMOVED, key)
end

function verbs.unpark(channel)
  if redis.call('HDEL', PARKED, channel) == 0 then return 0 end
  local count = redis.call('ZCARD', queue(channel))
  local edits = redis.call('ZRANGEBYSCORE', queue(channel), 3 * LANE, '+inf', 'WITHSCORES')
  for at = 1, #edits, 2 do
    redis.call('ZREM', queue(channel), edits[at])
    enqueue(edits[at], {kind = 'edit', channel = channel, rank = edits[at + 1]})
  end
  redis.call('ZADD', DUE, int(free_at(channel)), channel)
  return count
end

local moved = verbs[VERB](NAME)
if ACT and moved > 0 then redis.call('XADD', KEYS[#KEYS], 'MAXLEN', '~', LONGEST_STREAM, '*', 'act', ACT) end
return moved
