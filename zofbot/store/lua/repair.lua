-- Operators' changes. ARGV: verb, key or channel, optionally an audit record (its stream is the last of KEYS).
-- Returns 'outdated', or how many notifications were changed.
local VERB, NAME, ACT = ARGV[SHARED_ARGS + 1], ARGV[SHARED_ARGS + 2], ARGV[SHARED_ARGS + 3]
local verbs = {}
if outdated() then return 'outdated' end

-- Put a notification back in its queue. An earlier attempt may have succeeded, so the message is looked for first.
local function revive(key, f)
  remove_from_queues(key, f)
  local since = f.since or f.first or f.started
  if since then redis.call('HSET', note(key), 'since', since) end
  redis.call('HSET', note(key), 'state', 'pending')
  redis.call('HDEL', note(key), 'reason')
  forget_tries(key)
  redis.call('PERSIST', note(key))
  redis.call('ZREM', DEAD, key)
  redis.call('LREM', RECENT.dropped, 0, key)
  if not redis.call('ZSCORE', OPEN, key) then redis.call('ZADD', OPEN, format_integer(NOW), key) end
  enqueue(key, f)
end

-- Send again: a dead or dropped one from the start, a waiting one now.
-- Children that were dropped because this root was dead or dropped are revived too.
function verbs.retry(key)
  local f = read(key, 'state', 'kind', 'channel', 'rank', 'since', 'first', 'started', 'again_for')
  if f.state ~= 'dead' and f.state ~= 'dropped' and f.state ~= 'pending' then return 0 end
  if not f.rank then return 0 end -- its body is no longer stored
  for _, child in ipairs(f.state ~= 'pending' and redis.call('LRANGE', RECENT.dropped, 0, -1) or {}) do
    local fields = read(child, 'state', 'kind', 'channel', 'rank', 'root', 'reason', 'since', 'first', 'started')
    local is_child = fields.root == (f.again_for or key) -- children name the root that was reposted
    if is_child and fields.reason == 'its root is ' .. f.state then revive(child, fields) end
  end
  revive(key, f)
  return 1
end

function verbs.drop(key)
  local f = read(key, 'state', 'kind', 'channel')
  if f.state ~= 'dead' and f.state ~= 'pending' then return 0 end -- sending cannot be stopped
  remove_from_queues(key, f)
  redis.call('ZREM', DEAD, key)
  drop(key, 'dropped by an operator')
  return 1
end

-- Delete every trace of a notification in any state but sending.
function verbs.forget(key)
  local f = read(key, 'state', 'kind', 'channel')
  if f.state == 'sending' then return 0 end
  if f.state then remove_from_queues(key, f) end
  redis.call('DEL', note(key), receipt(key))
  redis.call('ZREM', OPEN, key)
  redis.call('ZREM', DEAD, key)
  for _, recent in pairs(RECENT) do redis.call('LREM', recent, 0, key) end
  return 1
end

function verbs.mark_notified(channel)
  local parked = redis.call('HGET', PARKED, channel)
  if not parked then return 0 end
  redis.call('HSET', PARKED, channel, '1' .. string.sub(parked, 2))
  return 1
end

function verbs.mark_removal_notified(key)
  return redis.call('HDEL', REMOVED, key)
end

function verbs.unpark(channel)
  if redis.call('HDEL', PARKED, channel) == 0 then return 0 end
  local count = redis.call('ZCARD', queue(channel))
  local edits = redis.call('ZRANGEBYSCORE', queue(channel), 3 * LANE, '+inf', 'WITHSCORES')
  for i = 1, #edits, 2 do
    redis.call('ZREM', queue(channel), edits[i])
    enqueue(edits[i], {kind = 'edit', channel = channel, rank = edits[i + 1]})
  end
  redis.call('ZADD', DUE, format_integer(free_at(channel)), channel)
  return count
end

local moved = verbs[VERB](NAME)
if ACT and moved > 0 then redis.call('XADD', KEYS[#KEYS], 'MAXLEN', '~', MAX_STREAM_LENGTH, '*', 'act', ACT) end
return moved
