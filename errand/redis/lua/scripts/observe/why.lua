#!lua flags=no-writes
-- Gathers what says why a job has not started. It judges nothing, and reads little whatever the queue's length.
-- ARGV  the job's id, since when a live worker of ours has been heard, then for each type of the API its name and its
--       queue
-- Returns JSON {clock: as TIME returns it, job: fields by name}, and for one that has not started: suspended, paused,
-- workers {live, serving: of its queue, able: that can run it, too, free: idle ones of these}, place {before, length,
-- exact}, park {kind, before, codes} or false, hold {since, reason, probe_at_ms, probing} or false, rate_due_us, limit
-- {concurrency, ids, before} or false, ids {id, status or false: what it waits for}, batches {id, jobs, ended: those
-- that it waits for}, due or false, minute, ends: by minute, this one first, how many jobs of its queue ended,
-- first_at: when the first of its queue's list was queued.
-- include base, parked, store/batch, observe/live, observe/queue_place, observe/type

local FIELDS = {'status', 'origin', 'description', 'enqueued_at', 'started_at', 'ended_at', 'worker_name',
  'errand_attempts', 'errand_error', 'errand_parked', 'errand_refused', 'rate_limit_key', 'dependency_ids',
  'enqueue_at_front', 'errand_interruptions', 'errand_losses'}
local ENDED = keys.ENDED
local TAKEN = {finished = true, failed = true, retried = true, stopped = true, dead = true} -- ends that make room
local MINUTES, FIELDS_READ, LISTED = 10, 300, 100
local id, clock = ARGV[1], call('TIME')
local minute = math.floor(clock[1] / 60)

local function read_job()
  local values, job = pcall_redis('HMGET', keys.JOB .. id, unpack(FIELDS)), {}
  if values.err then return job end
  for i, field in ipairs(FIELDS) do job[field] = values[i] and values[i] ~= '' and values[i] or nil end
  return job
end

local function count_workers(queue, job_type, refused)
  local count = {live = 0, serving = 0, able = 0, free = 0}
  for _, live in ipairs(list_live(ARGV[2])) do
    count.live = count.live + 1
    if live.queues[queue] then
      count.serving = count.serving + 1
      local code = find_its_code(live, job_type)
      if code and not (refused or ''):find(code, 1, true) then
        count.able = count.able + 1
        if live.state == 'idle' then count.free = count.free + 1 end
      end
    end
  end
  return count
end

-- Where the job is parked: its hash has the key, unless it waits for its type's rate, or nobody noted it.
local function find_park(queue, job_type, stored)
  local readable, parked = pcall(cjson.decode, stored or '')
  local key = readable and type(parked) == 'table' and parked.key
  for _, park in ipairs(rare.list_parked()) do
    if park.key == key or (park.queue == queue and park.type == job_type) then
      local before = pcall_redis('ZRANK', park.key, id)
      if type(before) == 'number' then
        return {kind = park.service and 'held' or park.codes and 'parked' or 'rated', before = before,
          codes = park.codes, service = park.service}
      end
    end
  end
  return false
end

-- The hold of the job's type: that under which it is parked, or any while it is in the list.
local function find_hold(job_type, park)
  if park and park.kind ~= 'held' then return false end
  local names = pcall_redis('SMEMBERS', keys.HELD_TYPES)
  for _, name in ipairs(names.err and {} or names) do
    local held_type, service = name:match('^([^:]*):(.*)$')
    if held_type == job_type and (not park or park.service == service) then
      local hold = rare.read_hold(job_type, service)
      if hold then
        return {since = hold.since, reason = hold.reason, probing = hold.probing,
          probe_at_ms = hold.probe_at_ms < 2 ^ 53 and hold.probe_at_ms or nil}
      end
    end
  end
  return false
end

local function describe_ids(ids)
  local described = {}
  for i = 1, math.min(#ids, LISTED) do
    local status = pcall_redis('HGET', keys.JOB .. ids[i], 'status')
    described[i] = {ids[i], type(status) == 'string' and status or false}
  end
  return described
end

local function read_limit(key)
  local limit = keys.LIMIT .. key
  local allowed = pcall_redis('ZRANGE', limit .. keys.ALLOWED, 0, LISTED - 1)
  local before = pcall_redis('ZRANK', limit .. keys.WAITING, id)
  return {concurrency = tonumber(call('HGET', limit, 'concurrency') or '') or 1,
    before = type(before) == 'number' and before or 0}, describe_ids(allowed.err and {} or allowed)
end

-- A batch by how many jobs it has and how many of these have ended; nothing where it is a job, or gone.
local function describe_batch(batch)
  local ids, ended = list_batch(batch), 0
  for _, one in ipairs(ids) do
    local status = pcall_redis('HGET', keys.JOB .. one, 'status')
    if type(status) ~= 'string' or ENDED[status] then ended = ended + 1 end
  end
  return #ids > 0 and {batch, #ids, ended} or nil
end

local function list_batches(stored)
  local readable, asked = pcall(cjson.decode, stored or '[]')
  local batches, jobs = {}, {}
  for _, one in ipairs(readable and type(asked) == 'table' and asked or {}) do
    local batch = describe_batch(one)
    if batch then batches[#batches + 1] = batch else jobs[#jobs + 1] = one end
  end
  return batches, jobs
end

local function list_parents(stored)
  local readable, parents = pcall(cjson.decode, stored or '[]')
  return describe_ids(readable and type(parents) == 'table' and parents or {})
end

-- What ended of a type in a minute that was rolled up (errand:stats:60:…): its first list is by end, in this order.
local ENDS_IN_ORDER = {'finished', 'failed', 'retried', 'stopped', 'interrupted', 'lost', 'dead'}
local function count_rolled_up(text, types)
  local count = 0
  for job_type, _ in pairs(types) do
    local place = 0
    for number in (text:match('"' .. job_type .. '":%[%[([%d,]*)%]') or ''):gmatch('%d+') do
      place = place + 1
      if TAKEN[ENDS_IN_ORDER[place]] then count = count + number end
    end
  end
  return count
end

local function count_tally(fields, types)
  local count = 0
  for i = 1, #fields, 2 do
    local job_type, ending = fields[i]:match('^([^|]*)|[^|]*|[^|]*|(%l+)$')
    if types[job_type] and TAKEN[ending] then count = count + (tonumber(fields[i + 1]) or 0) end
  end
  return count
end

-- How many jobs of the queue's types ended in each of the last minutes, newest first.
local function count_ends(queue)
  local types, ends, names, read = {}, {}, {}, 0
  for i = 3, #ARGV, 2 do
    if ARGV[i + 1] == queue then types[ARGV[i]] = true end
  end
  for i = 0, MINUTES do names[i + 1] = keys.STATS .. string.format('60:%d', (minute - i) * 60) end
  local rolled_up = call('MGET', unpack(names)) -- false for what is no string, too
  for i = 0, MINUTES do
    if rolled_up[i + 1] then
      ends[i + 1] = count_rolled_up(rolled_up[i + 1], types)
    elseif read < FIELDS_READ then
      local fields = pcall_redis('HGETALL', keys.TALLY .. string.format('%d', minute - i))
      if fields.err then break end
      ends[i + 1], read = count_tally(fields, types), read + #fields / 2
    else
      break
    end
  end
  return ends
end

local function gather(job)
  local queue, ids = job.origin or '', {}
  local job_type = name_type(job.description or '')
  local found = {clock = clock, job = job, suspended = call('EXISTS', keys.SUSPENDED) == 1,
    paused = call('SISMEMBER', keys.PAUSED, queue) == 1, place = false, park = false, limit = false, due = false}
  if job.status == 'queued' then
    found.park = find_park(queue, job_type, job.errand_parked)
    if not found.park then
      local is_front = job.enqueue_at_front == '1' or job.errand_interruptions or job.errand_losses
      local before, length, is_exact = find_place(queue, id, read_enqueued_at(id), is_front)
      found.place = {before = before, length = length, exact = is_exact}
    end
    local first = pcall_redis('LINDEX', keys.QUEUE .. queue, 0)
    found.first_at = type(first) == 'string' and read_enqueued_at(first) or false
    found.minute, found.ends = minute, count_ends(queue)
    found.rate_due_us = job_type and call('HGET', keys.RATES, job_type) or false
  elseif job.status == 'rate_limited' and job.rate_limit_key then
    found.limit, ids = read_limit(job.rate_limit_key)
  elseif job.status == 'deferred' then
    local asked, jobs = call('HGET', keys.JOB .. id, 'errand_after')
    if asked then
      found.batches, jobs = list_batches(asked)
      ids = describe_ids(jobs)
    else
      ids = list_parents(job.dependency_ids)
    end
  elseif job.status == 'scheduled' then
    local due = pcall_redis('ZSCORE', keys.SCHEDULED .. queue, id)
    found.due = type(due) == 'string' and due or false
  end
  found.ids, found.hold = ids, find_hold(job_type, found.park)
  found.workers = count_workers(queue, job_type, job.errand_refused)
  return found
end

local job = read_job()
local waits = job.status and job.status ~= 'started' and not ENDED[job.status]
return cjson.encode(waits and gather(job) or {clock = clock, job = job})
