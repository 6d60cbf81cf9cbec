#!lua
-- Stores jobs with RQ's own fields and keys, all or none, in one step. A job whose id is there already is left as it
-- is, so the same call sent twice changes nothing.
--
-- KEYS  rq:queues, the batch's record, the record under the claim's key (either '-' where there is none), then each
--       job's hash
-- ARGV  now, enqueued_at, ttl_seconds, JSON {batch: [field, value, …], claim: {record, kept_seconds}} or less, then for
--       each group of jobs, alike but for their data: JSON {queue, fields: [field, value, …], score: when they are due
--       or none, after: [id, …]}, created_at, how many they are, and for each its data and its retry_intervals or ''
-- Returns the jobs' statuses with spaces between; or, with nothing stored, -1 and the id of a parent that does not
-- exist, or -2 and the record that is there already under the claim's key.

local now, enqueued_at, ttl_seconds, more = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
local groups, statuses, woken, at, nth = {}, {}, {}, 5, 4

local found = more.claim and redis.call('GET', KEYS[3])
if found then return {-2, found} end

-- RQ takes an unknown parent for a finished one and lets the child of a failed one wait for ever.
local function judge(group)
  local status = group.score and 'scheduled' or 'queued'
  for _, parent in ipairs(group.after) do
    local found = redis.call('HGET', 'rq:job:' .. parent, 'status')
    if found == 'failed' or found == 'canceled' or found == 'stopped' then return 'canceled' end
    if found ~= 'finished' then status = 'deferred' end
  end
  return status
end

local place = {
  queued = function(id, group)
    redis.call('RPUSH', 'rq:queue:' .. group.queue, id)
    woken[group.queue] = true
  end,
  scheduled = function(id, group) redis.call('ZADD', 'rq:scheduled:' .. group.queue, group.score, id) end,
  deferred = function(id, group)
    redis.call('ZADD', 'rq:deferred:' .. group.queue, now, id)
    for _, parent in ipairs(group.after) do
      redis.call('SADD', 'rq:job:' .. parent .. ':dependents', id)
      redis.call('SADD', 'rq:job::' .. id .. ':dependencies', parent) -- two colons, as in RQ 3 (Job.dependencies_key)
    end
  end,
  canceled = function(id, group, hash)
    redis.call('ZADD', 'rq:canceled:' .. group.queue, now, id)
    redis.call('EXPIRE', hash, ttl_seconds)
  end,
}

-- The fields of a group's jobs, in order; those that differ between them, data and retry_intervals, are the last.
local function begin(group, status)
  local fields = group.fields
  for _, value in ipairs({'status', status, 'created_at', ARGV[group.at + 1]}) do fields[#fields + 1] = value end
  if status == 'queued' then
    fields[#fields + 1], fields[#fields + 2] = 'enqueued_at', enqueued_at
  end
  return fields, #fields
end

local function store(group)
  local status = judge(group)
  local fields, size = begin(group, status)
  redis.call('SADD', KEYS[1], 'rq:queue:' .. group.queue)
  for i = 1, group.count do
    local hash, data, waits = KEYS[nth], ARGV[group.at + 1 + 2 * i], ARGV[group.at + 2 + 2 * i]
    if redis.call('EXISTS', hash) == 0 then
      fields[size + 1], fields[size + 2] = 'data', data
      if waits ~= '' then fields[size + 3], fields[size + 4] = 'retry_intervals', waits end
      redis.call('HSET', hash, unpack(fields))
      place[status](hash:match('[^:]+$'), group, hash)
      statuses[#statuses + 1] = status
    else
      statuses[#statuses + 1] = redis.call('HGET', hash, 'status') or status
    end
    nth = nth + 1
  end
end

local new, last = {}, nth
while at <= #ARGV do
  local group = cjson.decode(ARGV[at])
  group.at, group.count = at, tonumber(ARGV[at + 2])
  for _, parent in ipairs(group.after) do
    if not new[parent] and redis.call('EXISTS', 'rq:job:' .. parent) == 0 then return {-1, parent} end
  end
  for i = last, last + group.count - 1 do new[KEYS[i]:match('[^:]+$')] = true end
  groups[#groups + 1] = group
  at, last = at + 3 + 2 * group.count, last + group.count
end

for _, group in ipairs(groups) do store(group) end

if more.batch and redis.call('EXISTS', KEYS[2]) == 0 then
  for i = nth - #statuses, nth - 1 do
    more.batch[#more.batch + 1], more.batch[#more.batch + 2] = KEYS[i]:match('[^:]+$'), ''
  end
  redis.call('HSET', KEYS[2], unpack(more.batch))
  redis.call('EXPIRE', KEYS[2], ttl_seconds)
end
if more.claim then
  more.claim.record.status = statuses[1]
  redis.call('SET', KEYS[3], cjson.encode(more.claim.record), 'EX', more.claim.kept_seconds)
end
for queue, _ in pairs(woken) do redis.call('PUBLISH', 'errand:work', queue) end
return table.concat(statuses, ' ')
