#!lua
-- Stores jobs with RQ's own fields and keys, all or none, in one step. A job whose id is there already is left as it
-- is, so the same call sent twice changes nothing.
--
-- KEYS  rq:queues, the batch's record (or '-'), then each job's hash, and with a claim the record under its key
-- ARGV  JSON {queues: {name: {list, scheduled, deferred, canceled}}, jobs: [{id, queue, score, parents: [{id, key,
--       dependents}], dependencies}], now, enqueued_at, ttl_seconds, batch: [field, value, …], claim: {record,
--       kept_seconds} or none}, then for each job the number of its fields and values and these
-- Returns each job's status; or, with nothing stored, -1 and the id of a parent that does not exist, or -2 and the
-- record that is there already under the claim's key.

local call = cjson.decode(ARGV[1])
local statuses, woken, new, at = {}, {}, {}, 2

-- RQ takes an unknown parent for a finished one and lets the child of a failed one wait for ever.
local function judge(job)
  local status = job.score and 'scheduled' or 'queued'
  for _, parent in ipairs(job.parents) do
    local found = redis.call('HGET', parent.key, 'status')
    if found == 'failed' or found == 'canceled' or found == 'stopped' then return 'canceled' end
    if found ~= 'finished' then status = 'deferred' end
  end
  return status
end

local place = {
  queued = function(job, queue, hash)
    redis.call('HSET', hash, 'enqueued_at', call.enqueued_at)
    redis.call('RPUSH', queue.list, job.id)
    woken[job.queue] = true
  end,
  scheduled = function(job, queue) redis.call('ZADD', queue.scheduled, job.score, job.id) end,
  deferred = function(job, queue)
    redis.call('ZADD', queue.deferred, call.now, job.id)
    for _, parent in ipairs(job.parents) do
      redis.call('SADD', parent.dependents, job.id)
      redis.call('SADD', job.dependencies, parent.id)
    end
  end,
  canceled = function(job, queue, hash)
    redis.call('ZADD', queue.canceled, call.now, job.id)
    redis.call('EXPIRE', hash, call.ttl_seconds)
  end,
}

local claimed = call.claim and KEYS[#KEYS]
local found = claimed and redis.call('GET', claimed)
if found then return {-2, found} end

for _, job in ipairs(call.jobs) do
  for _, parent in ipairs(job.parents) do
    if not new[parent.id] and redis.call('EXISTS', parent.key) == 0 then return {-1, parent.id} end
  end
  new[job.id] = true
end

for i, job in ipairs(call.jobs) do
  local hash, queue, count = KEYS[2 + i], call.queues[job.queue], tonumber(ARGV[at])
  if redis.call('EXISTS', hash) == 0 then
    local status = judge(job)
    redis.call('SADD', KEYS[1], queue.list)
    redis.call('HSET', hash, 'status', status, unpack(ARGV, at + 1, at + count))
    place[status](job, queue, hash)
  end
  statuses[i] = redis.call('HGET', hash, 'status')
  at = at + 1 + count
end

if #call.batch > 0 and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[2], unpack(call.batch))
  for _, job in ipairs(call.jobs) do redis.call('HSET', KEYS[2], job.id, '') end
  redis.call('EXPIRE', KEYS[2], call.ttl_seconds)
end
if claimed then
  call.claim.record.status = statuses[1]
  redis.call('SET', claimed, cjson.encode(call.claim.record), 'EX', call.claim.kept_seconds)
end
for queue, _ in pairs(woken) do redis.call('PUBLISH', 'errand:work', queue) end
return statuses
