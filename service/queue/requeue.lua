#!lua
-- Queues ended jobs again, as if they were new, but for their counts of attempts and interruptions. Sent twice, because
-- a reply was lost, it changes nothing and answers the same: each job keeps the token of the call.
-- ARGV  JSON {statuses: {status: true, …}, registry: where each job has to be or nothing, token, now, enqueued_at}, then
--       the jobs' ids
-- Returns for each job '' (it is queued again), false (it is not there) or why it can't be.

local request = cjson.decode(ARGV[1])
local ENDED = {failed = true, canceled = true, stopped = true}
local FIELDS = {'status', 'origin', 'data', 'retry_intervals', 'rate_limit_key', 'dependency_ids',
  'allow_dependency_failures', 'errand_batch', 'errand_requeue', 'rate_limit_concurrency', 'errand_on_failure'}
local woken = {}

-- include touched.lua

-- include limit.lua

local function read(hash)
  local found, values = {}, redis.call('HMGET', hash, unpack(FIELDS))
  for i, field in ipairs(FIELDS) do found[field] = values[i] and values[i] ~= '' and values[i] or nil end
  return found
end

local function read_list(stored)
  local readable, list = pcall(cjson.decode, stored or '[]')
  return readable and type(list) == 'table' and list or nil
end

-- RQ queues a job that waited for another a second time when that one finishes, unless it is deferred till then.
local function find_place(id, job)
  if job.status ~= 'canceled' then return 'queued' end -- it has run: what it waited for is past
  if redis.call('ZCOUNT', 'rq:executions:' .. id, request.now, '+inf') > 0 then return nil, 'it is still running' end
  local place = 'queued'
  for _, parent in ipairs(job.parents) do
    local status = redis.call('HGET', 'rq:job:' .. parent, 'status')
    local met = not status or status == 'finished' or (status == 'failed' and job.allow_dependency_failures == '1')
      or (ENDED[status] and job.errand_on_failure == 'run')
    if not met and ENDED[status] and job.errand_on_failure ~= 'wait' then
      return nil, 'it waits for job ' .. parent .. ', which is ' .. status .. '; requeue that one first'
    end
    if not met then place = 'deferred' end
  end
  return place
end

local function judge(id, hash, job)
  local damage = not job.data and 'there is no data in it' or not job.origin and 'it names no queue'
    or not job.status and 'it has no status' or not job.waits and 'its retry_intervals are no list'
    or not job.parents and 'its dependency_ids are no list'
  if damage then return nil, 'its record is damaged: ' .. damage end
  if not request.statuses[job.status] then return nil, 'its status is ' .. job.status end
  local place, reason = find_place(id, job)
  return place == 'queued' and job.rate_limit_key and 'rate_limited' or place, reason
end

local function refresh(id, hash, job, place)
  for _, key in ipairs({hash, 'rq:results:' .. id, hash .. ':dependents', 'rq:job::' .. id .. ':dependencies'}) do
    redis.call('PERSIST', key)
  end
  redis.call('HDEL', hash, 'errand_losses', 'errand_error', 'errand_progress', 'number_of_retries', 'errand_stop',
    'errand_cancel')
  redis.call('HSET', hash, 'status', place, 'started_at', '', 'ended_at', '', 'errand_requeue', request.token)
  if job.retry_intervals then redis.call('HSET', hash, 'retries_left', #job.waits) end
  redis.call('ZREM', 'rq:failed:' .. job.origin, id)
  redis.call('ZREM', 'rq:canceled:' .. job.origin, id)
  local record = 'errand:batch:' .. (job.errand_batch or '')
  if job.errand_batch and redis.pcall('HEXISTS', record, id) == 1 then redis.call('HSET', record, id, '') end
end

-- A job that ended badly does not expire as long as one waits for its requeue.
local function keep(id)
  local found = redis.call('HMGET', 'rq:job:' .. id, 'status', 'origin')
  if not ENDED[found[1]] then return end
  for _, key in ipairs({'rq:job:' .. id, 'rq:job:' .. id .. ':dependents', 'rq:results:' .. id, 'errand:dependents:' .. id}) do
    redis.call('PERSIST', key)
  end
  redis.call('ZADD', 'rq:failed:' .. found[2], 'XX', -1, id)
end

local put = {
  queued = function(id, hash, job)
    redis.call('HSET', hash, 'enqueued_at', request.enqueued_at)
    redis.call('SADD', 'rq:queues', 'rq:queue:' .. job.origin)
    redis.call('RPUSH', 'rq:queue:' .. job.origin, id)
    woken[job.origin] = true
  end,
  rate_limited = function(id, _, job)
    redis.call('ZREM', 'rq:rl:' .. job.rate_limit_key .. ':allowed', id)
    wait_for_slot(job.rate_limit_key, job.rate_limit_concurrency or '1', id, job.origin)
    fill_slots(job.rate_limit_key, request.now, request.enqueued_at, woken)
  end,
  deferred = function(id, _, job)
    redis.call('ZADD', 'rq:deferred:' .. job.origin, request.now, id)
    for _, parent in ipairs(job.parents) do
      redis.call('SADD', 'rq:job:' .. parent .. ':dependents', id)
      redis.call('SADD', 'rq:job::' .. id .. ':dependencies', parent)
      if job.errand_on_failure == 'wait' then keep(parent) end
    end
  end,
}

local function requeue(id)
  local hash = 'rq:job:' .. id
  local kind = redis.call('TYPE', hash).ok
  if kind == 'none' then
    if request.registry then redis.call('ZREM', request.registry, id) end
    return false
  end
  if kind ~= 'hash' then return 'its record is damaged: it is a ' .. kind .. ', no hash' end
  local job = read(hash)
  if job.errand_requeue == request.token then return '' end
  if request.registry and not redis.call('ZSCORE', request.registry, id) then return false end
  job.waits, job.parents = read_list(job.retry_intervals), read_list(job.dependency_ids)
  local place, reason = judge(id, hash, job)
  if not place then return reason end
  refresh(id, hash, job, place)
  put[place](id, hash, job)
  touch(id)
  return ''
end

local outcomes = {}
for i = 2, #ARGV do outcomes[i - 1] = requeue(ARGV[i]) end
for queue, _ in pairs(woken) do redis.call('PUBLISH', 'errand:work', queue) end
tell_touched()
return outcomes
