-- Claim up to LIMIT notifications that may be sent now, each for LEASE milliseconds.
-- Returns the claims, when to claim again ('' for never), and the notifications that were dropped.
local function claim_ready(LIMIT, LEASE)
  local MAX_READY, MAX_CHECKS, RETRY_MS = 500, 2000, 1000
  local REQUIRED = {'happened', 'critical', 'not_before', 'schema', 'body', 'committed'}
  local MAX_SUMMARY_TRIES = 5 -- tries of a summary after which the alerts it lists no longer wait for it
  local claimed, dropped, checks = {}, {}, 0

  -- Requeue notifications whose time has come, and those whose lease has expired.
  local function requeue_ready()
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', NOW, 'LIMIT', 0, MAX_READY)) do
      redis.call('ZREM', LEASES, key)
      local f = read(key, 'state', 'kind', 'channel', 'rank', 'since', 'started', 'attempt', 'settled', 'tries')
      if f.state == 'sending' then
        if f.settled ~= (f.attempt or '') .. ' sending' then count_try(key, f) end -- no result: its worker has died
        redis.call('HSET', note(key), 'state', 'pending', 'since', f.since or f.started or format_integer(NOW))
        enqueue(key, f)
      end
    end
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', LATER, '-inf', NOW, 'LIMIT', 0, MAX_READY)) do
      redis.call('ZREM', LATER, key)
      local f = read(key, 'state', 'kind', 'channel', 'rank')
      if f.state == 'pending' then enqueue(key, f) end
    end
  end

  -- Retry what is not scheduled for later, and the rest when it is scheduled: it waits by a clock that was set back since.
  local function wake_retries()
    local found = redis.call('ZRANGE', LATER, 0, -1, 'WITHSCORES')
    for at = 1, #found, 2 do
      local scheduled = (tonumber(redis.call('HGET', note(found[at]), 'not_before')) or 0) * 1000
      local till = math.min(tonumber(found[at + 1]), math.max(NOW, scheduled))
      redis.call('ZADD', LATER, format_integer(till), found[at])
    end
  end

  local function check_clock()
    local seen = tonumber(redis.call('HGET', PACE, CLOCK)) or 0
    local is_set_back = is_from_other_clock(seen, 0)
    if is_set_back then wake_retries() end
    if is_set_back or NOW - seen > CLOCK_INTERVAL then redis.call('HSET', PACE, CLOCK, format_integer(NOW)) end
  end

  -- Let queues and leases that wait by a clock that was set back since wait by the present one. Others that are that far
  -- ahead wait because Slack asks for it.
  local function follow_clock()
    local soon = format_integer(NOW + BURST * INTERVAL + MAX_SKEW)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', DUE, '(' .. soon, '+inf')) do
      redis.call('ZADD', DUE, format_integer(free_at(name)), name)
    end
    local latest = format_integer(NOW + LEASE + MAX_SKEW)
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '(' .. latest, '+inf')) do
      local f = read(key, 'started', 'since')
      if is_from_other_clock(tonumber(f.started) or 0, 0) then
        local since = format_integer(math.min(NOW, tonumber(f.since) or NOW))
        redis.call('HSET', note(key), 'started', format_integer(NOW), 'since', since)
        redis.call('ZADD', LEASES, format_integer(NOW + LEASE), key)
      end
    end
  end

  -- Return the receipt of the root; false if the root is not sent yet, or never will be.
  local function root_receipt(key, f)
    local place, root = place_of(f.root)
    if place then return place end
    local state = redis.call('HGET', note(root), 'state')
    local lost = not state or state == 'sent'
    if lost and not stays_deleted(f) and root == f.root then
      post_again(root, f)
      state = 'pending'
    end
    if state == 'pending' or state == 'sending' then
      redis.call('ZADD', LATER, format_integer(NOW + RETRY_MS), key)
    else
      local reason = lost and GONE or state == 'dropped' and WITH_ROOT or 'its root is ' .. state
      drop(key, reason)
      dropped[#dropped + 1] = {key, f.kind, f.channel, reason}
    end
    return false
  end

  -- True while the summary that lists a held-back alert is on its way. The entry is a CatchUpEntry (alerting/catch_up_entries.py).
  local function waits_for_summary(key, f)
    if f.kind ~= 'root' or tonumber(f.not_before) == 0 then return false end
    local entry = redis.call('HGET', PREFIX .. 'catchup:' .. f.channel, key)
    local name = entry and string.match(entry, '"key":"([^"]+)"')
    if not name then return false end
    local summary = read(name, 'state', 'tries')
    local on_its_way = summary.state == 'pending' or summary.state == 'sending'
    return on_its_way and count_tries(summary) < MAX_SUMMARY_TRIES
  end

  -- Return the state of the failure that a message is about: body, triage state, rerun; then body and triage state of the
  -- storm that it is part of.
  local function failure_state(key, f)
    if f.kind == 'reply' and tonumber(f.not_before) == 0 then return '', '', '', '', '' end
    local root = f.again_for or (f.root ~= '' and f.root or key)
    local shown, rerun, storm = unpack(redis.call('HMGET', PREFIX .. 'failure:' .. root, 'body', 'rerun', 'storm'))
    if not shown then return '', '', '', '', '' end
    local function triage(name) return redis.call('HGET', PREFIX .. 'triage:' .. f.channel, name) or '' end
    if not storm then return shown, triage(root), rerun or '', '', '' end
    local whole = redis.call('HGET', PREFIX .. 'failure:' .. storm, 'body') or ''
    return shown, triage(root), rerun or '', whole, triage(storm)
  end

  local function take(key)
    local f = read(key, 'state', 'kind', 'channel', 'root', 'edits_reply', 'happened', 'critical', 'not_before', 'schema',
      'body', 'rank', 'attempt', 'tries', 'committed', 'since', 'again_for')
    if not f.state then redis.call('ZREM', OPEN, key) end
    if f.state ~= 'pending' then return false end
    for _, name in ipairs(REQUIRED) do f[name] = f[name] or '' end -- a damaged record: the caller cannot read it
    if redis.call('HEXISTS', PARKED, f.channel) == 1 then -- an edit: their queue is shared by all channels
      enqueue(key, f)
      return false
    end
    local is_newer = (tonumber(f.schema) or 0) > SCHEMA -- left to workers of a newer version
    if is_newer or waits_for_summary(key, f) then
      redis.call('ZADD', LATER, format_integer(NOW + RETRY_MS), key)
      return false
    end
    local place = ''
    if f.root ~= '' then
      place = root_receipt(key, f)
      if not place then return false end
    end
    local attempt = format_integer((tonumber(f.attempt) or 0) + 1)
    redis.call('HSET', note(key), 'state', 'sending', 'attempt', attempt, 'started', format_integer(NOW))
    redis.call('HSETNX', note(key), 'first', format_integer(NOW))
    redis.call('HDEL', note(key), 'again', 'renewed') -- this attempt has the latest body
    redis.call('ZADD', LEASES, format_integer(NOW + LEASE), key)
    local shown, triage, rerun, storm, storm_triage = failure_state(key, f)
    claimed[#claimed + 1] = {key, f.kind, present_id(f.channel), f.again_for or f.root, f.edits_reply or '', f.happened,
      f.critical, f.not_before, f.schema, f.body, attempt, f.committed, f.since or '', place, shown, triage, rerun, storm, storm_triage,
      format_integer(count_tries(f))}
    return true
  end

  local function serve_queue(name)
    local pace = replenished_at(name)
    while #claimed < LIMIT and checks < MAX_CHECKS do
      local free = free_from(pace)
      if free > NOW then
        redis.call('ZADD', DUE, format_integer(free), name)
        return
      end
      local first = redis.call('ZPOPMIN', queue(name))
      if not first[1] then
        redis.call('ZREM', DUE, name)
        return
      end
      checks = checks + 1
      if take(first[1]) and name ~= EDITS then pace = spend(name, pace) end
    end
  end

  local function next_due()
    local first = math.huge
    for _, index in ipairs({DUE, LATER, LEASES}) do
      local found = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
      if found[2] then first = math.min(first, tonumber(found[2])) end
    end
    return first < math.huge and format_integer(first) or ''
  end

  local paused = redis.call('HGET', PAUSE, 'until')
  local till = tonumber(paused) or 0
  if till > NOW and not is_from_other_clock(till, MAX_PAUSE) then return {{}, paused, {}} end
  if paused then LIMIT = math.min(LIMIT, 1) end -- probe whether Slack accepts messages again

  check_clock()
  follow_clock()
  requeue_ready()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', NOW, 'LIMIT', 0, LIMIT + 1)) do
    if name ~= EDITS then serve_queue(name) end
  end
  if tonumber(redis.call('ZSCORE', DUE, EDITS) or math.huge) <= NOW then serve_queue(EDITS) end
  if paused and #claimed > 0 then redis.call('HSET', PAUSE, 'until', format_integer(NOW + LEASE), 'probe', claimed[1][1]) end
  return {claimed, next_due(), dropped}
end
