-- Add notifications and apply the caller's changes, all or nothing. KEYS[14]: the fence. ARGV, in this order:
-- the fence's number or '', the numbers of expectations and notifications, how many to claim at once, their lease in
-- milliseconds;
-- per expectation: hash, field, value or '' if missing;
-- per notification: ten values, see `flatten_notification` in claim_records.py;
-- per change: name, verb, field, value. '=' sets a field, '~' sets one and renews the hash's TTL, '-' deletes it, '+' adds to
-- a capped stream, '@' reschedules a waiting notification.
-- Returns 'outdated', 'fenced', 'changed' if an expectation does not hold, or the keys that were new, and with a number
-- to claim what `claim_ready` returns.
local FENCE, EXPECTED, COUNT = ARGV[SHARED_ARGS + 1], tonumber(ARGV[SHARED_ARGS + 2]), tonumber(ARGV[SHARED_ARGS + 3])
local LIMIT, LEASE = tonumber(ARGV[SHARED_ARGS + 4]), tonumber(ARGV[SHARED_ARGS + 5])
if outdated() then return 'outdated' end
if FENCE ~= '' and redis.call('GET', KEYS[14]) ~= FENCE then return 'fenced' end
local at = SHARED_ARGS + 6
for _ = 1, EXPECTED do
  if (redis.call('HGET', ARGV[at], ARGV[at + 1]) or '') ~= ARGV[at + 2] then return 'changed' end
  at = at + 3
end

local function create(key, n)
  local place = {channel = n.channel, kind = n.kind, rank = rank(n.kind, n.critical)}
  redis.call('HSET', note(key), 'state', 'pending', 'kind', n.kind, 'channel', n.channel, 'root', n.root,
    'edits_reply', n.edits_reply, 'happened', n.happened, 'critical', n.critical, 'not_before', n.not_before,
    'schema', n.schema, 'body', n.body, 'rank', place.rank, 'attempt', 0, 'committed', format_integer(NOW))
  redis.call('ZADD', OPEN, format_integer(NOW), key)
  wait(key, place, n.earliest)
end

-- Start anew what ended in `state`. Its attempts are numbered on from the last one, whose result may be stored once more.
local function restart(key, n, attempt, state)
  redis.call('DEL', note(key), receipt(key))
  create(key, n)
  redis.call('HSET', note(key), 'attempt', attempt, 'settled', attempt .. ' ' .. state)
end

-- Update what is being sent: an edit is made once more afterwards, anything else only if this attempt drops it.
-- They have different fields: processes of earlier versions repeat whatever has 'again'.
local function renew(key, n)
  redis.call('HSET', note(key), 'body', n.body, 'happened', n.happened, 'schema', n.schema, 'due', n.not_before,
    n.kind == 'edit' and 'again' or 'renewed', 1)
end

-- Update an edit that is not being sent: a waiting one takes the new body, another starts anew. If its last attempt's result
-- is stored only now, after its lease, 'again' says that this attempt did not know of the new body.
local function update_edit(key, n, known)
  if known == 'pending' then
    redis.call('HSET', note(key), 'body', n.body, 'happened', n.happened, 'schema', n.schema, 'again', 1)
    local till = tonumber(redis.call('ZSCORE', LATER, key) or 0)
    if till > math.max(n.earliest, NOW) + EDIT_INTERVAL then -- it was scheduled later than this one
      redis.call('ZADD', LATER, format_integer(math.max(n.earliest, NOW)), key)
    end
    return
  end
  local made, attempt = edit_made(redis.call('GET', receipt(key)))
  if made and not is_from_other_clock(made, 0) then n.earliest = math.max(n.earliest, made + EDIT_INTERVAL) end
  redis.call('ZREM', DEAD, key)
  restart(key, n, redis.call('HGET', note(key), 'attempt') or attempt or 0, known)
end

-- Restore what was dropped as obsolete, as what made it obsolete was undone, or what was dropped with its root.
local function revive(key, n)
  local f = read(key, 'reason', 'attempt')
  if f.reason ~= UNWANTED and f.reason ~= WITH_ROOT then return end
  redis.call('LREM', RECENT.dropped, 0, key)
  restart(key, n, f.attempt or 0, 'dropped')
end

local new = {}
for _ = 1, COUNT do
  local key = ARGV[at]
  local n = {kind = ARGV[at + 1], channel = ARGV[at + 2], root = ARGV[at + 3], edits_reply = ARGV[at + 4],
    happened = ARGV[at + 5], critical = ARGV[at + 6], not_before = ARGV[at + 7], schema = ARGV[at + 8], body = ARGV[at + 9]}
  n.earliest = tonumber(n.not_before) * 1000
  local known = redis.call('HGET', note(key), 'state')
  if not known and redis.call('EXISTS', receipt(key)) == 1 then known = 'sent' end
  if not known then
    create(key, n)
    new[#new + 1] = key
  elseif known == 'sending' then
    renew(key, n)
  elseif n.kind == 'edit' then
    update_edit(key, n, known)
  elseif known == 'dropped' then
    revive(key, n)
  end
  at = at + 10
end

local changes = {}
changes['='] = function(name, field, value) redis.call('HSET', name, field, value) end
changes['~'] = function(name, field, value)
  redis.call('HSET', name, field, value)
  redis.call('EXPIRE', name, KEEP_FAILURE)
end
changes['-'] = function(name, field) redis.call('HDEL', name, field) end
changes['+'] = function(name, field, value)
  redis.call('XADD', name, 'MAXLEN', '~', MAX_STREAM_LENGTH, '*', field, value)
end

changes['@'] = function(key, _, due) -- reschedule a waiting notification, or one that its attempt may postpone
  local f = read(key, 'state', 'kind', 'channel', 'rank')
  if f.state == 'sending' then redis.call('HSET', note(key), 'due', due) end
  if f.state ~= 'pending' or not redis.call('ZSCORE', LATER, key) then return end
  redis.call('HSET', note(key), 'not_before', due)
  redis.call('ZREM', LATER, key)
  wait(key, f, tonumber(due) * 1000)
end

while at < #ARGV do
  changes[ARGV[at + 1]](ARGV[at], ARGV[at + 2], ARGV[at + 3])
  at = at + 4
end
if LIMIT > 0 then return {new, claim_ready(LIMIT, LEASE)} end
return {new}
