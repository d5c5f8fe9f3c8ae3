-- Shared by all scripts of the outbox: names of keys, queues and rate limits.
-- The keys are described at the top of outbox.py. Times are milliseconds; NOW is the caller's clock.
local DUE, LATER, LEASES, OPEN, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local PACE, PARKED, PAUSE, SEQUENCE = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local RECENT = {sent = KEYS[10], dropped = KEYS[11]}
local REMOVED = KEYS[12]
local STORED_SCHEMA = KEYS[13]
local PREFIX, NOW = ARGV[1], tonumber(ARGV[2])
local INTERVAL, BURST, EDIT_INTERVAL = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local KEEP, KEEP_BODY, MAX_AGE = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local SCHEMA = tonumber(ARGV[9]) -- the newest schema the caller knows
local SHARED_ARGS = 9 -- arguments before those of the script itself

local EDITS = 'edits' -- the queue of all edits; not a valid channel id
local LANE = 1e13 -- rank: lane times this, plus a rising sequence number
local UNWANTED = 'no longer wanted' -- reason for dropping a reminder that is obsolete when due
local GONE = 'its message is gone' -- reason for dropping the children of a message that people deleted
local MAX_RECENT = 1000 -- length of the lists of recent keys

-- While a cluster migrates the slot, missing keys may be on the other node. Reading this key, which never exists, then
-- fails the script before it has changed anything.
redis.call('EXISTS', PREFIX .. 'nothing')

-- True if a newer version has written records that this one would misread; then only settling is allowed.
local function outdated() return tonumber(redis.call('GET', STORED_SCHEMA) or 0) > SCHEMA end

local function note(key) return PREFIX .. 'note:' .. key end
local function receipt(key) return PREFIX .. 'sent:' .. key end
local function queue(name) return PREFIX .. 'queue:' .. name end
local function format_integer(number) return string.format('%.0f', number) end

local function read(key, ...)
  local names, found = {...}, {}
  for at, value in ipairs(redis.call('HMGET', note(key), ...)) do found[names[at]] = value or nil end
  return found
end

local function rank(kind, critical)
  local lane = kind == 'edit' and 3 or kind == 'reply' and 2 or critical == '1' and 0 or 1
  return format_integer(lane * LANE + redis.call('INCR', SEQUENCE))
end

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

local function queue_of(kind, channel)
  return kind == 'edit' and EDITS or channel
end

-- Messages for a parked channel wait in the channel's own queue, which is not served until the channel is fixed.
local function enqueue(key, f)
  if redis.call('HEXISTS', PARKED, f.channel) == 1 then
    redis.call('ZADD', queue(f.channel), f.rank, key)
    return
  end
  local name = queue_of(f.kind, f.channel)
  redis.call('ZADD', queue(name), f.rank, key)
  redis.call('ZADD', DUE, format_integer(free_at(name)), name)
end

local function wait(key, f, till)
  if till > NOW then redis.call('ZADD', LATER, format_integer(till), key) else enqueue(key, f) end
end

local function remove_from_queues(key, f)
  redis.call('ZREM', LEASES, key)
  redis.call('ZREM', LATER, key)
  redis.call('ZREM', queue(f.channel), key)
  if f.kind == 'edit' then redis.call('ZREM', queue(EDITS), key) end
end

local function remember(state, key)
  redis.call('LPUSH', RECENT[state], key)
  redis.call('LTRIM', RECENT[state], 0, MAX_RECENT - 1)
end

local function drop(key, reason)
  redis.call('HSET', note(key), 'state', 'dropped', 'reason', reason)
  redis.call('EXPIRE', note(key), KEEP)
  redis.call('ZREM', OPEN, key)
  remember('dropped', key)
end

-- Return a root's receipt and current key: one deleted by people was reposted under another key.
local function place_of(root)
  local found = redis.call('GET', receipt(root))
  if found and string.sub(found, 1, 1) == '=' then
    root = string.sub(found, 2)
    found = redis.call('GET', receipt(root))
  end
  return found, root
end

-- True if the message is a reply in a thread, which is not reposted when people delete it.
local function is_thread_reply(name) return string.match(name, '^recovered:') ~= nil end

-- Extend the lifetime of a root's receipt when something happens to it.
local function keep_root(root)
  local found, latest = place_of(root)
  if found then redis.call('EXPIRE', receipt(root), KEEP) end
  if found and latest ~= root then redis.call('EXPIRE', receipt(latest), KEEP) end
end

-- Repost a root that people deleted, or whose receipt expired, so that `child` can be sent. The new root has its own key:
-- otherwise a worker that looks for it before sending could find the old message.
local function post_again(root, gone, child)
  local fresh = root .. ':' .. (gone == root and 2 or tonumber(string.sub(gone, #root + 2)) + 1)
  local body, happened, critical, schema = unpack(redis.call('HMGET', note(gone), 'body', 'happened', 'critical', 'schema'))
  if not body then body, happened, critical, schema = child.body, child.happened, child.critical, child.schema end
  local place = {channel = child.channel, kind = 'root', rank = rank('root', critical)}
  redis.call('HSET', note(fresh), 'state', 'pending', 'kind', 'root', 'channel', child.channel, 'root', '',
    'happened', happened, 'critical', critical, 'not_before', 0, 'schema', schema, 'body', body,
    'rank', place.rank, 'attempt', 0, 'committed', format_integer(NOW), 'again_for', root)
  redis.call('SET', receipt(root), '=' .. fresh, 'EX', KEEP)
  redis.call('ZADD', OPEN, format_integer(NOW), fresh)
  enqueue(fresh, place)
end
