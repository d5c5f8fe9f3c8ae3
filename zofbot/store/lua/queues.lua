-- Shared by all scripts of the outbox: queues, and what becomes of a notification in them.

local DEFAULTS = {kind = '', channel = '', root = ''} -- of a damaged record
local function read(key, ...)
  local names, found = {...}, {}
  for at, value in ipairs(redis.call('HMGET', note(key), ...)) do found[names[at]] = value or DEFAULTS[names[at]] end
  return found
end

-- Return how many tries have failed, of which an earlier version stored no number.
local function count_tries(f) return tonumber(f.tries) or 0 end

local function count_try(key, f) redis.call('HSET', note(key), 'tries', format_integer(count_tries(f) + 1)) end

-- Let the age and the tries count from the next attempt.
local function forget_tries(key) redis.call('HDEL', note(key), 'first', 'tries') end

local function rank(kind, critical)
  local lane = kind == 'edit' and 3 or kind == 'reply' and 2 or critical == '1' and 0 or 1
  return format_integer(lane * LANE + redis.call('INCR', SEQUENCE))
end

local function queue_of(kind, channel)
  return kind == 'edit' and EDITS or channel
end

-- Messages for a parked channel wait in the channel's own queue, which is not served until the channel is fixed.
local function enqueue(key, f)
  local place = f.rank or rank(f.kind, f.critical) -- a damaged record has none
  if redis.call('HEXISTS', PARKED, f.channel) == 1 then
    redis.call('ZADD', queue(f.channel), place, key)
    return
  end
  local name = queue_of(f.kind, f.channel)
  redis.call('ZADD', queue(name), place, key)
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

-- Return when an edit was made and by which attempt, of which an earlier version stored no number; nothing without a receipt.
local function edit_made(found)
  local made, attempt = string.match(found or '', '^%S+ %S+ (%d+) ?(%d*)$')
  return tonumber(made), tonumber(attempt)
end

-- Return a channel's present id, if Slack has changed it.
local function present_id(channel) return redis.call('HGET', PREFIX .. 'moved', channel) or channel end

-- Return a root's receipt and current key: one deleted by people was reposted under another key.
local function place_of(root)
  local found = redis.call('GET', receipt(root))
  if found and string.sub(found, 1, 1) == '=' then
    root = string.sub(found, 2)
    found = redis.call('GET', receipt(root))
  end
  return found and string.gsub(found, '^%S+', present_id, 1), root
end

-- True if what `child` edits is not reposted when people delete it: a reply, or what tells an assignee. The latter is known
-- by its key, and so is a reply whose edit was stored by an earlier version.
local STAYS_DELETED = {assigned = true, recovered = true, act = true, again = true, flapping = true, result = true,
  members = true}
local function stays_deleted(child)
  return child.edits_reply == '1' or STAYS_DELETED[string.match(child.root, '^(%a+):')]
end

-- Extend the lifetime of a root's receipt when something happens to it.
local function keep_root(root)
  local found, latest = place_of(root)
  if found then redis.call('EXPIRE', receipt(root), KEEP_FAILURE) end
  if found and latest ~= root then redis.call('EXPIRE', receipt(latest), KEEP_FAILURE) end
end

-- Repost a root that people deleted, or whose receipt expired, so that `child` can be sent. The new root has its own key:
-- otherwise a worker that looks for it before sending could find the old message.
local function post_again(root, child)
  local fresh = root .. ':2' -- it is reposted at most once
  local kept = read(root, 'body', 'happened', 'critical', 'schema')
  if not kept.body then kept = child end
  local function field(name) return kept[name] or child[name] or '' end -- a damaged record lacks some
  local place = {channel = child.channel, kind = 'root', rank = rank('root', field('critical'))}
  redis.call('DEL', note(fresh)) -- of an earlier repost: `settled` would count for the first attempt of this one
  redis.call('HSET', note(fresh), 'state', 'pending', 'kind', 'root', 'channel', child.channel, 'root', '', 'happened',
    field('happened'), 'critical', field('critical'), 'not_before', 0, 'schema', field('schema'), 'body', field('body'),
    'rank', place.rank, 'attempt', 0, 'committed', format_integer(NOW), 'again_for', root)
  redis.call('SET', receipt(root), '=' .. fresh, 'EX', KEEP_FAILURE)
  redis.call('ZADD', OPEN, format_integer(NOW), fresh)
  enqueue(fresh, place)
end
