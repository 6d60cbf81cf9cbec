#!lua flags=no-writes
-- Reads what /metrics has beside the queues.
-- Returns the time as TIME returns it, how many minutes the rollup is behind, the counts of all that has ended as JSON
-- (lib/observe/counts.lua), and then each as a list without names: {state, how many workers}, how many of their threads
-- are free, {queue, how many jobs are to be tried again}, {type, why, how many are parked}, the types that are held, by
-- how many seconds the latest schedule is late, used and maximal memory in bytes.
-- include base, parked, observe/counts

local clock = call('TIME')
local now = tonumber(clock[1])

local function list(key)
  local members = pcall_redis('SMEMBERS', key)
  return members.err and {} or members
end

local function count(...)
  local found = pcall_redis(...)
  return type(found) == 'number' and found or 0
end

local function read_totals()
  local found, counts = pcall_redis('HGETALL', keys.TOTALS), {}
  for i = 1, found.err and 0 or #found, 2 do counts[found[i]] = read_counts(found[i + 1]) end
  local minute = math.floor(now / 60)
  local rolled_up = pcall_redis('GET', keys.TALLY_ROLLED_UP)
  rolled_up = type(rolled_up) == 'string' and tonumber(rolled_up)
  local first = math.max(math.min(rolled_up or 0, minute) + 1 - LATE_MINUTES, minute - keys.STATS_MINUTES_SECONDS / 60)
  for _, open in ipairs(list_open(first, minute + 1, MOST_OPEN)) do
    for name, of_type in pairs(read_tally(open)) do add_counts(counts, name, of_type) end
  end
  return rolled_up and minute - 1 - rolled_up or minute, write_span(counts, true)
end

local function read_workers()
  local states, free = {}, 0
  for _, key in ipairs(list(keys.WORKERS)) do
    local found = pcall_redis('HMGET', key, 'state', 'last_heartbeat', 'death', 'current_job')
    if not found.err and found[2] and found[2] ~= '' and (found[3] or '') == '' then
      local state = found[1] or '?'
      local held = math.max(count('SCARD', key .. keys.HELD), (found[4] or '') ~= '' and 1 or 0)
      states[state] = (states[state] or 0) + 1
      local threads = pcall_redis('HGET', keys.TYPES .. key:sub(#keys.WORKER + 1), keys.THREADS)
      free = free + math.max(0, (type(threads) == 'string' and tonumber(threads) or 1) - held)
    end
  end
  local workers = {}
  for state, many in pairs(states) do workers[#workers + 1] = {state, many} end
  return workers, free
end

local function read_retrying()
  local retrying = {}
  for _, key in ipairs(list(keys.RETRYING)) do
    retrying[#retrying + 1] = {key:sub(#keys.RETRYING_JOBS + 1), count('ZCARD', key)}
  end
  return retrying
end

-- Why jobs wait there, as one of few words.
local function name_reason(park)
  if not park.codes then return 'rate' end
  if park.service then return rare.read_hold(park.type, park.service) and 'service-down' or 'turn' end
  if park.codes == '' then return rare.has_taker(park.queue, park.type, '') and 'turn' or 'no-worker' end
  return rare.fits_other(park.queue, park.type, park.codes) and 'turn' or 'payload'
end

local function read_parked()
  local parked = {}
  for _, park in ipairs(rare.list_parked()) do
    local size = count('ZCARD', park.key)
    if size > 0 then parked[#parked + 1] = {park.type, name_reason(park), size} end
  end
  return parked
end

local function read_held()
  local held = {}
  for _, name in ipairs(list(keys.HELD_TYPES)) do
    if call('EXISTS', keys.HELD_TYPE .. name) == 1 then held[#held + 1] = name:match('^(.*):[^:]*$') end
  end
  return held
end

local function read_lateness()
  local due = pcall_redis('ZRANGE', keys.SCHEDULES, '-inf', now, 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if due.err or not due[2] then return '0' end
  return string.format('%.3f', math.max(0, now + clock[2] / 1000000 - tonumber(due[2])))
end

-- As Redis itself counts what maxmemory bounds: without the buffers for replicas and for its file.
local function read_memory()
  local info = pcall_redis('INFO', 'memory')
  if type(info) ~= 'string' then return 0, 0 end
  local function find(name) return tonumber(info:match(name .. ':(%d+)') or '') or 0 end
  return find('used_memory') - find('mem_not_counted_for_evict'), find('maxmemory')
end

local behind, totals = read_totals()
local workers, free = read_workers()
local used, limit = read_memory()
return {clock, behind, totals, workers, free, read_retrying(), read_parked(), read_held(), read_lateness(), used, limit}
