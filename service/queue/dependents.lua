#!lua flags=allow-oom
-- What scripts share that end jobs: their batches, RQ's slots, and what becomes of the jobs that waited for one that has
-- ended. It goes before such a script, which sets the next three before it calls anything here. They
-- may write in a full Redis: without that the jobs that would make room could not end.

local now, now_text, failure_seconds -- in seconds; in RQ's format; how long jobs are kept that don't say so themselves

local call, pcall_redis = redis.call, redis.pcall
local woken, outcomes, freed = {}, {}, {}
local STOPPED = '{"type": "JobStopped", "message": "it was stopped on request"}'
local ENDED_BADLY = {failed = true, stopped = true, canceled = true}
local REGISTRIES = {scheduled = 'rq:scheduled:', deferred = 'rq:deferred:', ready_to_enqueue = 'rq:ready:'}

-- include webhook.lua

-- include touched.lua

-- A batch's record may be damaged or gone; the job's end must not suffer from that.
local function note_in_batch(hash, id, status)
  local batch = call('HGET', hash, 'errand_batch')
  local found = batch and pcall_redis('HMGET', 'errand:batch:' .. batch, id, 'webhook', 'webhook_waits_for')
  if found and found[1] then
    call('HSET', 'errand:batch:' .. batch, id, status)
    if found[1] ~= status or status == '' then tell_batch_end(batch, id, status, found[2], found[3]) end
  end
end

local function queue_job(hash, id, queue, front)
  touch(id)
  call('HSET', hash, 'status', 'queued', 'enqueued_at', now_text)
  call('SADD', 'rq:queues', 'rq:queue:' .. queue)
  call(front and 'LPUSH' or 'RPUSH', 'rq:queue:' .. queue, id)
  woken[queue] = true
end

local function list_job_keys(id)
  return {'rq:job:' .. id, 'rq:job:' .. id .. ':dependents', 'rq:job::' .. id .. ':dependencies',
    'errand:dependents:' .. id}
end

local function expire_job(id, ttl)
  if ttl > 0 then
    for _, key in ipairs(list_job_keys(id)) do call('EXPIRE', key, ttl) end
  end
end

-- Keep a job that ended badly as long as one waits for its requeue.
local function keep(id)
  for _, key in ipairs({'rq:results:' .. id, unpack(list_job_keys(id))}) do call('PERSIST', key) end
  call('ZADD', 'rq:failed:' .. call('HGET', 'rq:job:' .. id, 'origin'), 'XX', -1, id)
end

local function describe_cancel(message)
  return cjson.encode({type = 'Canceled', message = message})
end

-- What is asked of a job here; nothing for one whose record is gone or no hash.
local function read_job(id)
  local found = pcall_redis('HMGET', 'rq:job:' .. id, 'status', 'origin', 'errand_on_failure', 'allow_dependency_failures',
    'rate_limit_key', 'enqueue_at_front', 'failure_ttl', 'rate_limit_concurrency', 'description',
    'errand_webhook')
  if found.err or not found[1] or not found[2] then return nil end
  return {status = found[1], queue = found[2], on_failure = found[3] or 'cancel', allows_failure = found[4] == '1',
    limit = found[5] and found[5] ~= '' and found[5] or nil, front = found[6] == '1',
    ttl = tonumber(found[7] or '') or failure_seconds, concurrency = found[8] or '1', type = found[9] or '',
    webhook = found[10]}
end

local function read_status(id)
  local status = pcall_redis('HGET', 'rq:job:' .. id, 'status')
  return type(status) == 'string' and status or nil
end

-- Whether a job may run once a parent has come to this; one that is gone counts as finished, as in RQ's own
-- Job.dependencies_are_met.
local function accepts(job, outcome)
  return not outcome or outcome == 'finished' or (outcome == 'failed' and job.allows_failure)
    or (job.on_failure == 'run' and (ENDED_BADLY[outcome] or outcome == 'deleted'))
end

-- What this script itself has ended may not be written yet.
local function are_others_met(id, job, parent)
  for _, other in ipairs(call('SMEMBERS', 'rq:job::' .. id .. ':dependencies')) do
    if other ~= parent and not accepts(job, outcomes[other] or read_status(other)) then return false end
  end
  return true
end

-- A job that ended badly is kept as long as one waits for its requeue: when that one goes, its own lifetime begins.
local function let_expire(id)
  local job = read_job(id)
  if not job or not ENDED_BADLY[job.status] or job.ttl < 0 or call('TTL', 'rq:job:' .. id) ~= -1 then return end
  for _, child in ipairs(call('SMEMBERS', 'rq:job:' .. id .. ':dependents')) do
    local waiting = read_job(child)
    if waiting and waiting.status == 'deferred' and waiting.on_failure == 'wait' then return end
  end
  expire_job(id, math.max(job.ttl, 1))
  call('EXPIRE', 'rq:results:' .. id, math.max(job.ttl, 1))
  call('ZADD', 'rq:failed:' .. job.queue, 'XX', math.floor(now) + job.ttl, id)
end

-- Take a deferred job out of its parents' lists; `wake` looks what that means for them, once for each.
local function unlink(id, job)
  local key = 'rq:job::' .. id .. ':dependencies'
  local parents = call('SMEMBERS', key)
  call('DEL', key)
  for _, parent in ipairs(parents) do
    call('SREM', 'rq:job:' .. parent .. ':dependents', id)
    if job.on_failure == 'wait' then freed[parent] = true end
  end
end

-- include limit.lua

-- Let another job have the slot of one that will not run, or that has ended; not while it runs.
local function free_slot(id, key)
  call('ZREM', 'rq:rl:' .. key .. ':rate_limited', id)
  if call('ZCOUNT', 'rq:executions:' .. id, now, '+inf') > 0 then return end
  if call('ZREM', 'rq:rl:' .. key .. ':allowed', id) == 1 then fill_slots(key, now, now_text, woken) end
end

-- Take a job that has not begun out of wherever it waits.
local function withdraw(id, job)
  if job.status == 'queued' then
    call('LREM', 'rq:queue:' .. job.queue, 1, id)
    call('ZREM', 'errand:rated:' .. job.queue .. ':' .. job.type, id)
  elseif REGISTRIES[job.status] then
    call('ZREM', REGISTRIES[job.status] .. job.queue, id)
  end
  if job.status == 'deferred' then unlink(id, job) end
end

-- RQ never takes a job out of that registry that has expired: look at two for each that is put in.
local function add_to_canceled(id, queue)
  local key = 'rq:canceled:' .. queue
  call('ZADD', key, math.floor(now), id)
  for _, other in ipairs(call('ZRANDMEMBER', key, 2)) do
    if call('EXISTS', 'rq:job:' .. other) == 0 then call('ZREM', key, other) end
  end
end

local function mark_canceled(id, job, error)
  local hash = 'rq:job:' .. id
  touch(id)
  withdraw(id, job)
  call('HSET', hash, 'status', 'canceled', 'ended_at', now_text, 'errand_error', error)
  add_to_canceled(id, job.queue)
  note_in_batch(hash, id, 'canceled')
  tell_end(id, 'canceled', job.webhook)
  if job.limit then free_slot(id, job.limit) end
end

-- Where a dependent under a concurrency key goes.
local function limit_directly(id, hash, job)
  call('HSET', hash, 'status', 'rate_limited')
  wait_for_slot(job.limit, job.concurrency, id, job.queue)
  fill_slots(job.limit, now, now_text, woken)
end

local function pass_on(id, job)
  call('ZREM', 'rq:deferred:' .. job.queue, id)
  if job.limit then
    limit_directly(id, 'rq:job:' .. id, job)
  else
    queue_job('rq:job:' .. id, id, job.queue, job.front)
  end
end

-- One step of `settle_dependents`: those that it cancels go to `ended`.
local function settle_children(parent, outcome, ended)
  local key, is_awaited = 'rq:job:' .. parent .. ':dependents', false
  for _, id in ipairs(call('SMEMBERS', key)) do
    local job = read_job(id)
    if job and job.status == 'deferred' then
      if accepts(job, outcome) then
        if are_others_met(id, job, parent) then
          pass_on(id, job)
          call('SREM', key, id)
        end
      elseif job.on_failure == 'wait' and outcome ~= 'deleted' then
        is_awaited = true
      else
        local why = outcome == 'deleted' and 'was deleted' or 'did not succeed'
        mark_canceled(id, job, describe_cancel('it waited for job ' .. parent .. ', which ' .. why))
        ended[#ended + 1] = {id = id, outcome = 'canceled', ttl = job.ttl}
      end
    end
  end
  return is_awaited
end

-- Settle the jobs that waited for `parent`, which has come to `outcome` (finished, failed, stopped, canceled, deleted):
-- queue those that can run, cancel those that can't, all the way down (RQ leaves them). Not by recursion: a chain may be
-- longer than Lua's stack. Returns whether one of them waits for the requeue of `parent`, which then must not expire.
local function settle_dependents(parent, outcome)
  local ended, at, is_parent_awaited = {{id = parent, outcome = outcome}}, 1, false
  outcomes[parent] = outcome
  while ended[at] do
    local is_awaited = settle_children(ended[at].id, ended[at].outcome, ended)
    if at == 1 then
      is_parent_awaited = is_awaited
    elseif is_awaited then
      keep(ended[at].id)
    elseif ended[at].ttl >= 0 then
      expire_job(ended[at].id, math.max(ended[at].ttl, 1))
    end
    at = at + 1
  end
  return is_parent_awaited
end

-- Cancel a job that has not begun, and with it what its dependents' own on_failure says.
local function cancel_job(id, job, error)
  mark_canceled(id, job, error)
  if settle_dependents(id, 'canceled') then keep(id)
  elseif job.ttl >= 0 then expire_job(id, math.max(job.ttl, 1)) end
end

local function wake()
  for parent, _ in pairs(freed) do let_expire(parent) end
  for queue, _ in pairs(woken) do call('PUBLISH', 'errand:work', queue) end
  tell_touched()
end
