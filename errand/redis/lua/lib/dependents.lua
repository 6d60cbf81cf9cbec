-- What becomes of the jobs that waited for one that has ended, of those that are canceled, and of what they held:
-- batches and slots. Scripts that end jobs may write in a full Redis: without that the jobs that would make room
-- could not end.
-- gives STOPPED, describe_cancel, accepts, settle_dependents, pass_on, withdraw, cancel_job, finish_step
-- include base, clock, events, push, drop, jobs, keep, canceled, slots, webhook, batch, job_keys, observe/tally, observe/type

local outcomes, freed = {}, {}
local ENDED_BADLY = keys.ENDED_BADLY
local FEW = 20 -- others, who are looked at each time
local REGISTRIES = {scheduled = keys.SCHEDULED, deferred = keys.DEFERRED, ready_to_enqueue = keys.READY}
STOPPED = '{"type": "JobStopped", "message": "it was stopped on request"}'

function describe_cancel(message)
  return cjson.encode({type = 'Canceled', message = message})
end

-- Whether a job may run once a parent has come to this; one that is gone counts as finished, as in RQ's own
-- Job.dependencies_are_met.
function accepts(job, outcome)
  return not outcome or outcome == 'finished' or (outcome == 'failed' and job.allows_failure)
    or (job.on_failure == 'run' and (ENDED_BADLY[outcome] or outcome == 'deleted'))
end

-- What this script itself has ended may not be written yet.
local function is_met(job, parent)
  return accepts(job, outcomes[parent] or read_status(parent))
end

-- A job may wait for a thousand others, those of a batch: it notes one that it still waits for, and until that one has
-- ended nobody looks at the rest.
local function are_others_met(id, job, parent)
  if job.awaited and job.awaited ~= parent and not is_met(job, job.awaited) then return false end
  local others = call('SMEMBERS', keys.JOB_LINKS .. id .. keys.DEPENDENCIES)
  for _, other in ipairs(others) do
    if other ~= parent and not is_met(job, other) then
      if #others > FEW and job.awaited ~= other then call('HSET', keys.JOB .. id, 'errand_awaited', other) end
      return false
    end
  end
  return true
end

-- A job that ended badly is kept as long as one waits for its requeue: when that one goes, its own lifetime begins.
local function let_expire(id)
  local job = read_job(id)
  if not job or not ENDED_BADLY[job.status] or job.ttl < 0 or call('TTL', keys.JOB .. id) ~= -1 then return end
  for _, child in ipairs(call('SMEMBERS', keys.JOB .. id .. keys.DEPENDENTS)) do
    local waiting = read_job(child)
    if waiting and waiting.status == 'deferred' and waiting.on_failure == 'wait' then return end
  end
  expire_job(id, math.max(job.ttl, 1))
  call('EXPIRE', keys.RESULTS .. id, math.max(job.ttl, 1))
  call('ZADD', keys.FAILED .. job.queue, 'XX', math.floor(now) + job.ttl, id)
end

-- Take a deferred job out of its parents' lists; `finish_step` looks what that means for them, once for each.
local function unlink(id, job)
  local key = keys.JOB_LINKS .. id .. keys.DEPENDENCIES
  local parents = call('SMEMBERS', key)
  call('DEL', key)
  for _, parent in ipairs(parents) do
    call('SREM', keys.JOB .. parent .. keys.DEPENDENTS, id)
    if job.on_failure == 'wait' then freed[parent] = true end
  end
end

-- Take a job that has not begun out of wherever it waits.
function withdraw(id, job)
  if job.status == 'queued' then
    local is_parked = call('ZREM', keys.RATED_JOBS .. job.queue .. ':' .. job.type, id) == 1
    if job.parked then
      local readable, parked = pcall(cjson.decode, job.parked)
      if readable and type(parked) == 'table' then
        is_parked = pcall_redis('ZREM', tostring(parked.key), id) == 1 or is_parked
      end
      call('HDEL', keys.JOB .. id, 'errand_parked')
    end
    if not is_parked then drop_job(job.queue, id) end
  elseif REGISTRIES[job.status] then
    call('ZREM', REGISTRIES[job.status] .. job.queue, id)
  end
  if job.status == 'deferred' then unlink(id, job) end
  pcall_redis('ZREM', keys.RETRYING_JOBS .. job.queue, id)
end

local function mark_canceled(id, job, error)
  local hash = keys.JOB .. id
  touch(id)
  withdraw(id, job)
  call('HSET', hash, 'status', 'canceled', 'ended_at', now_text, 'errand_error', error)
  add_to_canceled(job.queue, id, math.floor(now))
  note_in_batch(hash, id, 'canceled')
  tell_end(id, 'canceled', job.webhook)
  tally((name_type(job.type) or 'other') .. '|||canceled', 1)
  if job.limit then free_slot(id, job.limit) end
end

-- Where a dependent under a concurrency key goes.
local function limit_directly(id, hash, job)
  call('HSET', hash, 'status', 'rate_limited')
  wait_for_slot(job.limit, job.concurrency, id, job.queue)
  fill_slots(job.limit)
end

function pass_on(id, job)
  call('ZREM', keys.DEFERRED .. job.queue, id)
  if job.limit then
    limit_directly(id, keys.JOB .. id, job)
  else
    queue_job(id, job.queue, job.front)
  end
end

-- One step of `settle_dependents`: those that it cancels go to `ended`.
local function settle_children(parent, outcome, ended)
  local key, is_awaited = keys.JOB .. parent .. keys.DEPENDENTS, false
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
function settle_dependents(parent, outcome)
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
function cancel_job(id, job, error)
  mark_canceled(id, job, error)
  if settle_dependents(id, 'canceled') then keep(id)
  elseif job.ttl >= 0 then expire_job(id, math.max(job.ttl, 1)) end
end

-- Every script that ends jobs ends with this; `seconds` are of Redis' clock, where it has asked for them.
function finish_step(seconds)
  for parent, _ in pairs(freed) do let_expire(parent) end
  keep_tally(seconds)
  wake_workers()
  tell_touched()
end
