#!lua flags=no-writes
-- Counts the jobs of queues by status. From the keys: RQ's own counts clean up as they count.
-- ARGV  the queue that is asked for, '' for all, since when a live worker of ours has been heard, then the queues that
--       job types name
-- Returns JSON: the names of all queues, and for each that was asked for {name, whether it is paused, when its oldest
-- job was queued or false, counts by status, of those that wait for a worker {type, how many, why, since when or false,
-- what they wait for: held, unknown, refused, or taken where there is a worker}, how many live workers serve it, how
-- many jobs are due and on its schedule still, how many are being retried, the newest error's type or false}, the time
-- as TIME returns it, and whether RQ is suspended.
-- include base, parked, observe/live, observe/oldest

local COUNTED = 1000 -- jobs under one key: what is behind them shows in no queue
local asked, clock = ARGV[1], call('TIME')
local now, LATE_SECONDS = clock[1], 10 -- workers and RQ's schedulers look every second

-- A key of another kind than RQ's counts nothing: a damaged queue must not hide the others.
local function count(...)
  local found = pcall_redis(...)
  return type(found) == 'number' and found or 0
end

local function list(...)
  local found = pcall_redis(...)
  return found.err and {} or found
end

local names, known = {}, {}
local function note(name)
  if not known[name] then
    known[name], names[#names + 1] = true, name
  end
end
for i = 3, #ARGV do note(ARGV[i]) end
for _, key in ipairs(call('SMEMBERS', keys.QUEUES)) do note(key:sub(#keys.QUEUE + 1)) end
table.sort(names)

local paused, parked = {}, {}
for _, name in ipairs(call('SMEMBERS', keys.PAUSED)) do paused[name] = true end
for _, park in ipairs(rare.list_parked()) do
  parked[park.queue] = parked[park.queue] or {}
  table.insert(parked[park.queue], park)
end

-- RQ keeps those that wait for a slot by their key; mostly all of one queue. Of a key that several use, so many are
-- looked at.
local limited = {}
for _, key in ipairs(call('SMEMBERS', keys.LIMITS)) do
  local waiting = keys.LIMIT .. key .. keys.WAITING
  local depth = count('ZCARD', waiting)
  local queue = depth > 0 and call('HGET', keys.LIMIT .. key, 'errand_queue')
  if queue and queue ~= '*' then
    limited[queue] = (limited[queue] or 0) + depth
  elseif depth > 0 then
    for _, id in ipairs(call('ZRANGE', waiting, 0, COUNTED - 1)) do
      local origin = pcall_redis('HGET', keys.JOB .. id, 'origin')
      if type(origin) == 'string' then limited[origin] = (limited[origin] or 0) + 1 end
    end
  end
end

-- RQ takes out what has expired every ten minutes; until then it is not counted. -1 is for ever.
local function count_kept(key)
  return count('ZCARD', key) - count('ZCOUNT', key, 0, now)
end

-- How many workers serve each queue.
local serving = {}
for _, live in ipairs(list_live(ARGV[2])) do
  for queue, _ in pairs(live.queues) do serving[queue] = (serving[queue] or 0) + 1 end
end

-- The type of the newest error: of those that wait to be tried again, else of those that wait for a service, else of
-- those that failed; false where there is none.
local function find_error(name)
  local ids = list('ZREVRANGE', keys.RETRYING_JOBS .. name, 0, 0)
  for _, park in ipairs(parked[name] or {}) do
    if #ids == 0 and park.service then ids = list('ZREVRANGE', park.key, 0, 0) end
  end
  if #ids == 0 then ids = list('ZREVRANGE', keys.FAILED .. name, 0, 0) end
  local stored = ids[1] and pcall_redis('HGET', keys.JOB .. ids[1], 'errand_error')
  if type(stored) ~= 'string' then return false end
  local readable, found = pcall(cjson.decode, stored)
  return readable and type(found) == 'table' and type(found.type) == 'string' and found.type or false
end

local function describe(name)
  local counts = {queued = count('LLEN', keys.QUEUE .. name), started = count('ZCARD', keys.WIP .. name),
    finished = count_kept(keys.FINISHED .. name), failed = count_kept(keys.FAILED .. name),
    ready_to_enqueue = count('ZCARD', keys.READY .. name), rate_limited = limited[name] or 0,
    scheduled = count('ZCARD', keys.SCHEDULED .. name), deferred = count('ZCARD', keys.DEFERRED .. name),
    canceled = count('ZCARD', keys.CANCELED .. name)}
  local waiting = {} -- by type: how many wait for a worker, and whether there is one
  for _, park in ipairs(parked[name] or {}) do
    local size = count('ZCARD', park.key)
    counts.queued = counts.queued + size
    if park.codes and size > 0 then
      local reason, since, is_taken = rare.describe_park(park)
      local kind = is_taken and 'taken' or park.service and 'held' or park.codes == '' and 'unknown' or 'refused'
      waiting[#waiting + 1] = {park.type, size, reason, since or false, kind}
    end
  end
  local overdue = count('ZCOUNT', keys.SCHEDULED .. name, 0, now - LATE_SECONDS)
  return {name, paused[name] or false, find_oldest(name, parked[name] or {}), counts, waiting, serving[name] or 0,
    overdue, count('ZCARD', keys.RETRYING_JOBS .. name), find_error(name)}
end

local described = {}
for _, name in ipairs(names) do
  if asked == '' or asked == name then described[#described + 1] = describe(name) end
end
return cjson.encode({names, described, clock, call('EXISTS', keys.SUSPENDED) == 1})
