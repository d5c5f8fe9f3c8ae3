-- Store the results of attempts. ARGV, five per result: verb, key, attempt, value, reason (see attempt_results.py).
-- Returns for each its new state; or 'parked', 'paused' or 'removed' for the result that caused it; or 'lost'. A result that
-- was stored before changes nothing, and returns what it returned then, unless a later attempt has ended since: `settled`
-- holds the last attempt that has ended, and what its result returned.
local MAX_COUNTED_DELAY_MS = 3600000 -- a longer delay resets the age, which then counts from the next attempt
local verbs = {}

local function is_too_old(f) return f.first and NOW - f.first > MAX_AGE end

local function retry_at(key, f, till, reason)
  redis.call('HSET', note(key), 'state', 'pending', 'reason', reason)
  wait(key, f, till)
  return 'pending'
end

-- Make an edit once more: its body changed during this attempt.
local function edit_again(key, f)
  redis.call('HDEL', note(key), 'since')
  forget_tries(key)
  return retry_at(key, f, NOW + EDIT_INTERVAL, '')
end

local function mark_dead(key, f, reason)
  if f.again then return edit_again(key, f) end
  redis.call('HSET', note(key), 'state', 'dead', 'reason', reason)
  redis.call('EXPIRE', note(key), KEEP)
  redis.call('ZREM', OPEN, key)
  redis.call('ZADD', DEAD, format_integer(NOW), key)
  redis.call('ZREMRANGEBYSCORE', DEAD, '-inf', format_integer(NOW - KEEP * 1000))
  return 'dead'
end

local function give_up(key, f, reason)
  return mark_dead(key, f, 'gave up after ' .. format_integer((NOW - f.first) / 3600000) .. ' h: ' .. reason)
end

-- Let another message be tried at once: this one does not show whether Slack accepts messages again.
local function release_probe(key)
  if redis.call('HGET', PAUSE, 'probe') ~= key then return end
  redis.call('HSET', PAUSE, 'until', format_integer(NOW))
  redis.call('HDEL', PAUSE, 'probe')
end

-- True if another edit (details, or a redraw that was scheduled) is to be made again, because the usual edit of its message
-- was made during this attempt: Slack may show the older of the two. If the usual one is still being made, that is repeated.
-- Made again, an edit shows the failure's present state. One of a reply has only its own body, the older of the two.
local function met_usual_edit(key, f)
  if f.kind ~= 'edit' then return false end
  local kind, rest = string.match(f.root, '^([^:]*):?(.*)$')
  local usual = kind .. '-edit:' .. rest -- as in idempotency.py
  if usual == key then return false end
  if redis.call('HGET', note(usual), 'state') == 'sending' then redis.call('HSET', note(usual), 'again', 1) end
  if stays_deleted(f) then return false end
  local made = edit_made(redis.call('GET', receipt(usual)))
  return made and made >= (tonumber(f.started) or 0) and not is_from_other_clock(made, 0)
end

function verbs.sent(key, f, place)
  redis.call('DEL', PAUSE)
  if f.again or met_usual_edit(key, f) then return edit_again(key, f) end
  redis.call('ZREM', OPEN, key)
  redis.call('ZREM', DEAD, key)
  if f.root ~= '' then keep_root(f.root) end
  local made = f.kind == 'edit' and ' ' .. format_integer(NOW) .. ' ' .. f.attempt or ''
  redis.call('SET', receipt(key), place .. made, 'EX', f.kind == 'root' and KEEP_FAILURE or KEEP)
  if f.kind == 'root' then -- keep the body for a while, in case people delete the message
    redis.call('HSET', note(key), 'state', 'sent')
    redis.call('EXPIRE', note(key), KEEP_BODY)
  else
    redis.call('DEL', note(key))
  end
  remember('sent', key)
  return 'sent'
end

function verbs.deferred(key, f, delay, reason)
  count_try(key, f)
  if is_too_old(f) then return give_up(key, f, reason) end
  return retry_at(key, f, NOW + delay, reason)
end

function verbs.held(key, f, delay, reason) -- deferred, with its whole queue
  count_try(key, f)
  block(queue_of(f.kind, f.channel), NOW + delay)
  if is_too_old(f) then return give_up(key, f, reason) end
  return retry_at(key, f, NOW, reason)
end

function verbs.snoozed(key, f, delay, reason)
  release_probe(key)
  if tonumber(delay) > MAX_COUNTED_DELAY_MS then forget_tries(key) end
  local till = NOW + delay
  return retry_at(key, f, f.due and math.min(till, f.due * 1000) or till, reason)
end

function verbs.unknown(key, f, delay, reason) -- stays sending: after the delay a worker looks for it in Slack
  count_try(key, f)
  if is_too_old(f) then return give_up(key, f, reason) end
  redis.call('HSET', note(key), 'state', 'sending', 'since', f.since or f.started or format_integer(NOW),
    'reason', reason)
  redis.call('ZADD', LEASES, format_integer(NOW + delay), key)
  return 'sending'
end

function verbs.refused(key, f, _, reason)
  redis.call('DEL', PAUSE)
  return mark_dead(key, f, reason)
end

function verbs.unreadable(key, f, _, reason)
  release_probe(key)
  return mark_dead(key, f, reason)
end

function verbs.dropped(key, f, _, reason)
  release_probe(key)
  if f.again or f.renewed then -- the attempt did not know of the latest commit
    redis.call('HSET', note(key), 'not_before', f.due or 0, 'committed', format_integer(NOW))
    forget_tries(key)
    redis.call('ZADD', OPEN, format_integer(NOW), key)
    return retry_at(key, f, (f.due or 0) * 1000, '')
  end
  drop(key, reason)
  return 'dropped'
end

function verbs.parked(key, f, _, reason)
  redis.call('DEL', PAUSE)
  forget_tries(key) -- its age counts again from when the channel is fixed
  local first = redis.call('HSETNX', PARKED, f.channel, '0 ' .. format_integer(NOW) .. ' ' .. reason)
  redis.call('ZREM', DUE, f.channel)
  retry_at(key, f, NOW, reason)
  return first == 1 and 'parked' or 'pending'
end

function verbs.halted(key, f, _, reason) -- nothing can be sent: pause everything, twice as long each time
  forget_tries(key)
  retry_at(key, f, NOW, reason)
  local step, probe = unpack(redis.call('HMGET', PAUSE, 'step', 'probe'))
  if step and probe ~= key then return 'pending' end -- sent before the pause began
  step = (tonumber(step) or 0) + 1
  local till = NOW + math.min(MAX_PAUSE, 1000 * 2 ^ (step - 1))
  redis.call('HSET', PAUSE, 'until', format_integer(till), 'step', step, 'reason', reason)
  redis.call('HDEL', PAUSE, 'probe')
  return 'paused'
end

function verbs.gone(key, f, place, reason)
  redis.call('DEL', PAUSE)
  if stays_deleted(f) then
    drop(key, GONE)
    return 'dropped'
  end
  local found, root = place_of(f.root)
  if found == place and root ~= f.root then -- reposted before and deleted again: do not repost
    redis.call('DEL', receipt(root))
    redis.call('HSET', REMOVED, root, f.channel)
    drop(root, GONE)
    drop(key, GONE)
    return 'removed'
  end
  if found == place then post_again(root, f) end
  return retry_at(key, f, NOW, reason)
end

-- Settle a notification of which only the receipt is left, or nothing: at least store the receipt.
local function settle_without_record(verb, key, attempt, place)
  if verb ~= 'sent' then return 'lost' end
  local found = redis.call('GET', receipt(key))
  if not found then redis.call('SET', receipt(key), place, 'EX', KEEP) end
  local _, by = edit_made(found)
  local is_own = not found or string.match(found, '^%S+ %S+') == place and (not by or by == tonumber(attempt))
  return is_own and 'sent' or 'lost'
end

local function settle(verb, key, attempt, value, reason)
  local f = read(key, 'attempt', 'state', 'kind', 'channel', 'root', 'edits_reply', 'rank', 'again', 'renewed', 'due',
    'since', 'started', 'first', 'body', 'happened', 'critical', 'schema', 'settled', 'tries')
  if not f.state then return settle_without_record(verb, key, attempt, value) end
  f.first, f.due = tonumber(f.first), tonumber(f.due) -- nothing in a damaged record
  local last, outcome = string.match(f.settled or '', '^(%d+) (%a+)$')
  if last == attempt then return outcome end
  local open = f.state == 'sending' or f.state == 'pending'
  if f.attempt ~= attempt or f.state == 'sent' or not (open or verb == 'sent') then return 'lost' end
  remove_from_queues(key, f)
  redis.call('HDEL', note(key), 'again', 'renewed', 'due') -- what commits changed during this attempt
  local state = verbs[verb](key, f, value, reason)
  if redis.call('EXISTS', note(key)) == 1 then redis.call('HSET', note(key), 'settled', attempt .. ' ' .. state) end
  return state
end

local states = {}
for at = SHARED_ARGS + 1, #ARGV, 5 do
  states[#states + 1] = settle(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
end
return states
