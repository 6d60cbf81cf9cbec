#!lua
-- Stores jobs with RQ's own fields and keys, all or none, in one step. A job whose id is there already is left as it
-- is, so the same call sent twice changes nothing.
--
-- KEYS  rq:queues, the batch's record, the record under the claim's key (either '-' where there is none), then each
--       job's hash
-- ARGV  now, enqueued_at, ttl_seconds, JSON {batch: [field, value, …], claim: {record, kept_seconds}} or less, then for
--       each group of jobs, alike but for their data: JSON {queue, type, fields: [field, value, …], score: when they are
--       due or none, after: [id, …], on_failure, front, tags: [tag, …], limit: [key, concurrency] or none}, created_at,
--       the same in microseconds, how many they are, and for each its data and its retry_intervals or ''
-- Returns the jobs' statuses with spaces between; or, with nothing stored, -1 and the id of a parent that does not
-- exist, -2 and the record that is there already under the claim's key, or -3 and the id of a parent that has as many
-- dependents as it may have.

local now, enqueued_at, ttl_seconds, more = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
local DEPENDENTS_LIMIT = 5000 -- they are settled in one step, and the server does nothing else meanwhile
local ENDED_BADLY = {failed = true, canceled = true, stopped = true}
local groups, statuses, woken, at, nth = {}, {}, {}, 5, 4

local found = more.claim and redis.call('GET', KEYS[3])
if found then return {-2, found} end

-- RQ takes an unknown parent for a finished one and lets the child of a failed one wait for ever.
local function judge(group)
  local status = group.score and 'scheduled' or group.limit and 'rate_limited' or 'queued'
  for _, parent in ipairs(group.after) do
    local found = redis.call('HGET', 'rq:job:' .. parent, 'status')
    local failed = ENDED_BADLY[found]
    if failed and group.on_failure == 'cancel' then return 'canceled' end
    if found ~= 'finished' and not (failed and group.on_failure == 'run') then status = 'deferred' end
  end
  return status
end

-- include touched.lua

-- include limit.lua

local place = {
  queued = function(id, group)
    redis.call(group.front and 'LPUSH' or 'RPUSH', 'rq:queue:' .. group.queue, id)
    woken[group.queue] = true
  end,
  scheduled = function(id, group) redis.call('ZADD', 'rq:scheduled:' .. group.queue, group.score, id) end,
  deferred = function(id, group) redis.call('ZADD', 'rq:deferred:' .. group.queue, now, id) end,
  canceled = function(id, group, hash)
    local key = 'rq:canceled:' .. group.queue
    redis.call('ZADD', key, now, id)
    for _, other in ipairs(redis.call('ZRANDMEMBER', key, 2)) do -- as in dependents.lua: RQ never cleans it
      if redis.call('EXISTS', 'rq:job:' .. other) == 0 then redis.call('ZREM', key, other) end
    end
    local why = 'one of the jobs that it was to wait for did not succeed'
    redis.call('HSET', hash, 'ended_at', enqueued_at, 'errand_error', cjson.encode({type = 'Canceled', message = why}))
    redis.call('EXPIRE', hash, ttl_seconds)
  end,
  rate_limited = function(id, group) wait_for_slot(group.limit[1], group.limit[2], id, group.queue) end,
}

-- A job that ended badly does not expire as long as one waits for its requeue.
local function keep(id)
  local found = redis.call('HMGET', 'rq:job:' .. id, 'status', 'origin')
  if not ENDED_BADLY[found[1]] then return end
  for _, key in ipairs({'rq:job:' .. id, 'rq:job:' .. id .. ':dependents', 'rq:results:' .. id, 'errand:dependents:' .. id}) do
    redis.call('PERSIST', key)
  end
  redis.call('ZADD', 'rq:failed:' .. found[2], 'XX', -1, id)
end

-- What a job waits for, as RQ keeps it, and beside it who waits for a parent: RQ forgets that when the parent ends.
local function link(id, group, status)
  for _, parent in ipairs(group.after) do
    redis.call('SADD', 'errand:dependents:' .. parent, id)
    redis.call('EXPIRE', 'errand:dependents:' .. parent, ttl_seconds)
    if status == 'deferred' then
      redis.call('SADD', 'rq:job:' .. parent .. ':dependents', id)
      redis.call('SADD', 'rq:job::' .. id .. ':dependencies', parent) -- two colons, as in RQ 3 (Job.dependencies_key)
      if group.on_failure == 'wait' then keep(parent) end
    end
  end
end

-- The fields of a group's jobs, in order; those that differ between them, data and retry_intervals, are the last.
local function begin(group, status)
  local fields = group.fields
  for _, value in ipairs({'status', status, 'created_at', ARGV[group.at + 1]}) do fields[#fields + 1] = value end
  if status == 'queued' then
    fields[#fields + 1], fields[#fields + 2] = 'enqueued_at', enqueued_at
  end
  return fields, #fields
end

-- By queue and type, and by tag, in the order of their creation; the workers take out what has expired.
local function index(group, entries)
  if #entries == 0 then return end
  local keys = {'errand:index:' .. group.queue .. ':' .. group.type}
  for _, tag in ipairs(group.tags) do keys[#keys + 1] = 'errand:tag:' .. tag end
  for _, key in ipairs(keys) do
    redis.call('ZADD', key, unpack(entries))
    redis.call('ZADD', 'errand:indexes', 0, key)
  end
end

local function store(group)
  local status, entries = judge(group), {}
  local fields, size = begin(group, status)
  redis.call('SADD', KEYS[1], 'rq:queue:' .. group.queue)
  local first, step, last = 1, 1, group.count
  if group.limit then -- what was said last holds
    redis.call('HSET', 'rq:rl:' .. group.limit[1], 'concurrency', group.limit[2])
    redis.call('SADD', 'rq:rl-keys', group.limit[1])
  elseif group.front then -- the last one pushed comes out first
    first, step, last = group.count, -1, 1
  end
  for i = first, last, step do
    local hash, data, waits = KEYS[nth + i - 1], ARGV[group.at + 2 + 2 * i], ARGV[group.at + 3 + 2 * i]
    local found = redis.call('HGET', hash, 'status')
    if not found then
      local id = hash:match('[^:]+$')
      fields[size + 1], fields[size + 2] = 'data', data
      if waits ~= '' then fields[size + 3], fields[size + 4] = 'retry_intervals', waits end
      redis.call('HSET', hash, unpack(fields))
      place[status](id, group, hash)
      if #group.after > 0 then link(id, group, status) end
      entries[#entries + 1], entries[#entries + 2] = ARGV[group.at + 2], id
    end
    statuses[nth - 4 + i] = found or status
  end
  if status == 'rate_limited' then
    fill_slots(group.limit[1], now, enqueued_at, woken)
    for i = 1, group.count do statuses[nth - 4 + i] = redis.call('HGET', KEYS[nth + i - 1], 'status') end
  end
  index(group, entries)
  nth = nth + group.count
end

local new, last = {}, nth
while at <= #ARGV do
  local group = cjson.decode(ARGV[at])
  group.at, group.count = at, tonumber(ARGV[at + 3])
  for _, parent in ipairs(group.after) do
    if not new[parent] and redis.call('EXISTS', 'rq:job:' .. parent) == 0 then return {-1, parent} end
    local is_full = redis.call('SCARD', 'errand:dependents:' .. parent) + group.count > DEPENDENTS_LIMIT
    if is_full and redis.call('EXISTS', KEYS[last]) == 0 then return {-3, parent} end
  end
  for i = last, last + group.count - 1 do new[KEYS[i]:match('[^:]+$')] = true end
  groups[#groups + 1] = group
  at, last = at + 4 + 2 * group.count, last + group.count
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
  local all = table.concat(statuses, ' ')
  more.claim.record.status = all == (statuses[1] .. ' '):rep(#statuses):sub(1, -2) and statuses[1] or all
  redis.call('SET', KEYS[3], cjson.encode(more.claim.record), 'EX', more.claim.kept_seconds)
end
for queue, _ in pairs(woken) do redis.call('PUBLISH', 'errand:work', queue) end
tell_touched()
return table.concat(statuses, ' ')
