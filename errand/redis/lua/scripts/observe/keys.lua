#!lua flags=no-writes
-- Looks whether the keys that jobs share have values of the types that they should have: those with a name of their
-- own, those of each queue, and some of those that others list.
-- ARGV  the names of queues besides those that RQ lists
-- Returns for each that has another its name, its type and the one that it should have.
-- include base

local LISTED = 200 -- of each list of names
local ONE = {[keys.QUEUES] = 'set', [keys.WORKERS] = 'set', [keys.LEASES] = 'zset', [keys.INDEXES] = 'zset',
  [keys.EXPIRES] = 'zset', [keys.BATCHES] = 'zset', [keys.BODIES] = 'hash', [keys.BODY_HOLDS] = 'zset',
  [keys.SWEEP] = 'hash', [keys.LOST] = 'zset', [keys.LOST_LOOK] = 'hash', [keys.SETTLING] = 'zset',
  [keys.NOTES] = 'zset', [keys.NOTES_BYTES] = 'hash', [keys.RETRYING] = 'set', [keys.TALLY_ROLLED_UP] = 'string',
  [keys.TOTALS] = 'hash', [keys.PAUSED] = 'set', [keys.RATES] = 'hash', [keys.RATED] = 'set', [keys.PARKED] = 'set',
  [keys.HELD_TYPES] = 'set', [keys.POSTED] = 'zset', [keys.SCHEDULES] = 'zset', [keys.LIMITS] = 'set',
  [keys.PARKED_LOGGED] = 'string'}
local QUEUE = {[keys.QUEUE] = 'list', [keys.WIP] = 'zset', [keys.FINISHED] = 'zset', [keys.FAILED] = 'zset',
  [keys.CANCELED] = 'zset', [keys.SCHEDULED] = 'zset', [keys.DEFERRED] = 'zset', [keys.READY] = 'zset',
  [keys.RETRYING_JOBS] = 'zset'}
local wrong, queues = {}, {}

local function look(key, expected)
  local kind = call('TYPE', key).ok
  if kind == 'none' or kind == expected then return end
  wrong[#wrong + 1], wrong[#wrong + 2], wrong[#wrong + 3] = key, kind, expected
end

local function list(...)
  local found = pcall_redis(...)
  return found and not found.err and found or {}
end

for key, expected in pairs(ONE) do look(key, expected) end
look(keys.TALLY .. math.floor(call('TIME')[1] / 60), 'hash')
for _, name in ipairs(ARGV) do queues[name] = true end
for _, key in ipairs(list('SMEMBERS', keys.QUEUES)) do queues[key:sub(#keys.QUEUE + 1)] = true end
for name in pairs(queues) do
  for prefix, expected in pairs(QUEUE) do look(prefix .. name, expected) end
end
for _, names in ipairs({keys.RATED, keys.PARKED}) do
  for _, key in ipairs(list('SRANDMEMBER', names, LISTED)) do look(key, 'zset') end
end
for _, key in ipairs(list('ZRANDMEMBER', keys.INDEXES, LISTED)) do look(key, 'zset') end
for _, job_type in ipairs(list('HRANDFIELD', keys.RATES, LISTED)) do look(keys.STARTS .. job_type, 'list') end
for _, name in ipairs(list('SRANDMEMBER', keys.LIMITS, LISTED)) do
  local limit = keys.LIMIT .. name
  look(limit, 'hash')
  look(limit .. keys.ALLOWED, 'zset')
  look(limit .. keys.WAITING, 'zset')
end
return wrong
