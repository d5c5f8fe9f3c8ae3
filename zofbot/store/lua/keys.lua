-- Shared by all scripts of the outbox: names of keys, and limits.
-- The keys are described at the top of outbox.py. Times are milliseconds; NOW is the caller's clock.
local DUE, LATER, LEASES, OPEN, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local PACE, PARKED, PAUSE, SEQUENCE = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local RECENT = {sent = KEYS[10], dropped = KEYS[11]}
local REMOVED = KEYS[12]
local STORED_SCHEMA = KEYS[13]
local PREFIX, NOW = ARGV[1], tonumber(ARGV[2])
local INTERVAL, BURST, EDIT_INTERVAL = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local KEEP, KEEP_BODY, MAX_AGE = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local KEEP_FAILURE = KEEP + 8 * 86400 -- seconds: a failure snoozed for KEEP can still be escalated, below its root
local SCHEMA = tonumber(ARGV[9]) -- the newest schema the caller knows
local SHARED_ARGS = 9 -- arguments before those of the script itself

local EDITS = 'edits' -- the queue of all edits; not a valid channel id
local LANE = 1e13 -- rank: lane times this, plus a rising sequence number
local UNWANTED = 'no longer wanted' -- reason for dropping a reminder that is obsolete when due
local WITH_ROOT = 'its root is dropped' -- reason for dropping the children of a message that was dropped
local GONE = 'its message is gone' -- reason for dropping the children of a message that people deleted
local MAX_PAUSE = 60000 -- milliseconds between tries while Slack rejects everything
local MAX_RECENT = 1000 -- length of the lists of recent keys
local MAX_STREAM_LENGTH = 100000 -- of the audit log (audit.py)

-- While a cluster migrates the slot, missing keys may be on the other node. Reading this key, which never exists, then
-- fails the script before it has changed anything.
redis.call('EXISTS', PREFIX .. 'nothing')

-- True if a newer version has written records that this one would misread; then only settling is allowed.
local function outdated() return tonumber(redis.call('GET', STORED_SCHEMA) or 0) > SCHEMA end

local function note(key) return PREFIX .. 'note:' .. key end
local function receipt(key) return PREFIX .. 'sent:' .. key end
local function queue(name) return PREFIX .. 'queue:' .. name end
local function format_integer(number) return string.format('%.0f', number) end
