-- What every step of the outbox shares: the names of its keys, and where a notification waits for its turn.
-- The keys are described at the top of outbox.py. Times are milliseconds; NOW is the caller's clock.
local DUE, LATER, LEASES, OPEN, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local PACE, PARKED, PAUSE, SEQUENCE = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local RECENT = {sent = KEYS[10], dropped = KEYS[11]}
local REMOVED = KEYS[12]
local WRITTEN = KEYS[13]
local PREFIX, NOW = ARGV[1], tonumber(ARGV[2])
local INTERVAL, BURST, EDIT_INTERVAL = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local KEEP, KEEP_BODY, MAX_AGE = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local SCHEMA = tonumber(ARGV[9]) -- the newest that the caller knows
local OWN = 9 -- arguments before those of the step itself

local EDITS = 'edits' -- the one queue of all edits; no channel has such an id
local LANE = 1e13 -- ranks: lane times this, plus a number that rises with every commit
local UNWANTED = 'no longer wanted' -- why a timer is dropped that comes due where nothing is to be said any more
local GONE = 'its message is gone' -- why something is dropped that belongs to a message that people removed
local RECENTLY = 1000 -- how many keys a list of recent ones holds

-- While a cluster moves the slot key by key, keys that are missing may be elsewhere. Then this one, which never is there,
-- ends the script with an error before it has changed anything.
redis.call('EXISTS', PREFIX .. 'nothing')

-- Whether a newer version has written here, which would be misread: then nothing is done but what was begun is settled.
local function outdated() return tonumber(redis.call('GET', WRITTEN) or 0) > SCHEMA end

local function note(key) return PREFIX .. 'note:' .. key end
local function receipt(key) return PREFIX .. 'sent:' .. key end
local function queue(name) return PREFIX .. 'queue:' .. name end
local function int(number) return string.format('%.0f', number) end

local function read(key, ...)
  local names, found = {...}, {}
  for at, value in ipairs(redis.call('HMGET', note(key), ...)) do found[names[at]] = value or nil end
  return found
end

local function rank(kind, critical)
  local lane = kind == 'edit' and 3 or kind == 'reply' and 2 or critical == '1' and 0 or 1
  return int(lane * LANE + redis.call('INCR', SEQUENCE))
end

-- GCRA: PACE holds when a queue's quota will be whole again; it may go ahead while that is less than a burst away.
local function free_at(name)
  return tonumber(redis.call('HGET', PACE, name) or 0) - (BURST - 1) * INTERVAL
end

local function spend(name)
  local whole = math.max(tonumber(redis.call('HGET', PACE, name) or 0), NOW)
  redis.call('HSET', PACE, name, int(whole + INTERVAL))
end

local function block(name, till)
  if free_at(name) < till then redis.call('HSET', PACE, name, int(till + (BURST - 1) * INTERVAL)) end
end

local function queue_of(kind, channel)
  return kind == 'edit' and EDITS or channel
end

-- What waits for a parked channel waits in the channel's own queue, which nothing looks at until it is mended.
local function enqueue(key, f)
  if redis.call('HEXISTS', PARKED, f.channel) == 1 then
    redis.call('ZADD', queue(f.channel), f.rank, key)
    return
  end
  local name = queue_of(f.kind, f.channel)
  redis.call('ZADD', queue(name), f.rank, key)
  redis.call('ZADD', DUE, int(free_at(name)), name)
end

local function wait(key, f, till)
  if till > NOW then redis.call('ZADD', LATER, int(till), key) else enqueue(key, f) end
end

local function unplace(key, f)
  redis.call('ZREM', LEASES, key)
  redis.call('ZREM', LATER, key)
  redis.call('ZREM', queue(f.channel), key)
  if f.kind == 'edit' then redis.call('ZREM', queue(EDITS), key) end
end

local function remember(state, key)
  redis.call('LPUSH', RECENT[state], key)
  redis.call('LTRIM', RECENT[state], 0, RECENTLY - 1)
end

local function drop(key, reason)
  redis.call('HSET', note(key), 'state', 'dropped', 'reason', reason)
  redis.call('EXPIRE', note(key), KEEP)
  redis.call('ZREM', OPEN, key)
  remember('dropped', key)
end

-- Where a root stands, and the key it stands under now: one that people deleted was posted again under another.
local function place_of(root)
  local found = redis.call('GET', receipt(root))
  if found and string.sub(found, 1, 1) == '=' then
    root = string.sub(found, 2)
    found = redis.call('GET', receipt(root))
  end
  return found, root
end

-- Whether a message stands in a thread: one that people delete stays deleted.
local function replied(name) return string.match(name, '^recovered:') ~= nil end

-- A message lives as long as something happens to it.
local function keep_root(root)
  local found, latest = place_of(root)
  if found then redis.call('EXPIRE', receipt(root), KEEP) end
  if found and latest ~= root then redis.call('EXPIRE', receipt(latest), KEEP) end
end

-- The message that a child belongs to was deleted by people, or forgotten: one fresh root takes its place, whoever
-- notices first. It has a key of its own, or a worker that looks before sending could adopt the old message.
local function post_again(root, gone, child)
  local fresh = root .. ':' .. (gone == root and 2 or tonumber(string.sub(gone, #root + 2)) + 1)
  local body, happened, critical, schema = unpack(redis.call('HMGET', note(gone), 'body', 'happened', 'critical', 'schema'))
  if not body then body, happened, critical, schema = child.body, child.happened, child.critical, child.schema end
  local place = {channel = child.channel, kind = 'root', rank = rank('root', critical)}
  redis.call('HSET', note(fresh), 'state', 'pending', 'kind', 'root', 'channel', child.channel, 'root', '',
    'happened', happened, 'critical', critical, 'not_before', 0, 'schema', schema, 'body', body,
    'rank', place.rank, 'attempt', 0, 'committed', int(NOW), 'again_for', root)
  redis.call('SET', receipt(root), '=' .. fresh, 'EX', KEEP)
  redis.call('ZADD', OPEN, int(NOW), fresh)
  enqueue(fresh, place)
end
