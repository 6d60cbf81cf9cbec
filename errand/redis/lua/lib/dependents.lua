-- What becomes of the jobs that waited for one that has ended, of those that are canceled, and of what they held:
-- batches and slots. Scripts that end jobs may write in a full Redis: without that the jobs that would make room
-- could not end. A script settles a few hundred dependents at most; it notes the rest
-- (lib/store/settle_dependents.lua).
-- rare
-- gives STOPPED, describe_cancel, accepts, settle_dependents, open_settler, pass_on, withdraw, cancel_job
-- gives let_expire
-- include base, clock, events, push, take_off_queue, jobs, keep_dead_letters, canceled, slots, webhook
-- include batch, job_keys, observe/tally
-- include observe/type
-- include store/settle_dependents, faults, store/end_of_step

local outcomes = {}
local ENDED_BADLY = keys.ENDED_BADLY
local FEW = 20 -- others that are looked at each time; of more one is noted as `errand_awaited`
local CANCEL_COST, WEBHOOK_COST = 1, 1 -- beside the 1 of each: to cancel one takes as long again, its webhook too
local LINKS = 20 -- to parents: to read so many takes as long as to look at one dependent
local left = keys.SETTLED_AT_ONCE
local REGISTRIES = {scheduled = keys.SCHEDULED, deferred = keys.DEFERRED, ready_to_enqueue = keys.READY}
rare.STOPPED = '{"type": "JobStopped", "message": "it was stopped on request"}'

function rare.describe_cancel(message)
  return cjson.encode({type = 'Canceled', message = message})
end

-- Whether a job may run once a parent has come to this; one that is gone counts as finished, as in RQ's own
-- Job.dependencies_are_met.
function rare.accepts(job, outcome)
  return not outcome or outcome == 'finished' or (outcome == 'failed' and job.allows_failure)
    or (job.on_failure == 'run' and (ENDED_BADLY[outcome] or outcome == 'deleted'))
end

-- What this script itself has ended may not be written yet.
local function is_met(job, parent)
  local outcome = outcomes[parent] or rare.read_status(parent)
  return rare.accepts(job, outcome or (rare.open_settling().is_noted_as_deleted(parent) and 'deleted' or nil))
end

-- A job may wait for a thousand others, those of a batch: it notes one that it still waits for, and until that one has
-- ended nobody looks at the rest.
local function are_others_met(id, job, parent)
  if job.awaited and job.awaited ~= parent and not is_met(job, job.awaited) then return false end
  local others = call('SMEMBERS', keys.JOB_LINKS .. id .. keys.DEPENDENCIES)
  left = left - math.floor(#others / LINKS)
  for _, other in ipairs(others) do
    if other ~= parent and not is_met(job, other) then
      if #others > FEW and job.awaited ~= other then call('HSET', keys.JOB .. id, 'errand_awaited', other) end
      return false
    end
  end
  return true
end

-- A job that ended badly is kept as long as one waits for its requeue: when that one goes, its own lifetime begins. Of
-- very many dependents some are looked at; if none of them waits for it, the chores look at all, and keep it then.
function rare.let_expire(id)
  local job, key = rare.read_job(id), keys.JOB .. id .. keys.DEPENDENTS
  if not job or not ENDED_BADLY[job.status] or job.ttl < 0 or call('TTL', keys.JOB .. id) ~= -1 then return end
  for _, child in ipairs(call('SRANDMEMBER', key, FEW)) do
    local waiting = rare.read_job(child)
    if waiting and waiting.status == 'deferred' and waiting.on_failure == 'wait' then return end
  end
  if call('SCARD', key) > FEW and not rare.open_settling().note_dependents(id, job.status) then return end
  rare.expire_job(id, math.max(job.ttl, 1))
  call('EXPIRE', keys.RESULTS .. id, math.max(job.ttl, 1))
  call('ZADD', keys.FAILED .. job.queue, 'XX', math.floor(now) + job.ttl, id)
end

-- Take a deferred job out of its parents' lists; `finish_step` looks at what that means for each of them, once.
local function unlink(id, job)
  local key = keys.JOB_LINKS .. id .. keys.DEPENDENCIES
  local parents = call('SMEMBERS', key)
  left = left - math.floor(#parents / LINKS)
  call('DEL', key)
  for _, parent in ipairs(parents) do
    pcall_redis('SREM', keys.JOB .. parent .. keys.DEPENDENTS, id)
    if job.on_failure == 'wait' then freed[parent] = true end
  end
end

-- Take a job that has not begun out of wherever it waits.
function rare.withdraw(id, job)
  if job.status == 'queued' then
    local is_parked = pcall_redis('ZREM', keys.RATED_JOBS .. job.queue .. ':' .. job.type, id) == 1
    if job.parked then
      local readable, parked = pcall(cjson.decode, job.parked)
      if readable and type(parked) == 'table' then
        is_parked = pcall_redis('ZREM', tostring(parked.key), id) == 1 or is_parked
      end
      call('HDEL', keys.JOB .. id, 'errand_parked')
    end
    if not is_parked then pcall(rare.drop_job, job.queue, id) end
  elseif REGISTRIES[job.status] then
    pcall_redis('ZREM', REGISTRIES[job.status] .. job.queue, id)
  end
  if job.status == 'deferred' then unlink(id, job) end
  pcall_redis('ZREM', keys.RETRYING_JOBS .. job.queue, id)
end

local function mark_canceled(id, job, error)
  local hash = keys.JOB .. id
  left = left - CANCEL_COST - ((job.webhook or WEBHOOK_URL) and WEBHOOK_COST or 0)
  touch(id)
  rare.withdraw(id, job)
  call('HSET', hash, 'status', 'canceled', 'ended_at', now_text, 'errand_error', error)
  rare.add_to_canceled(job.queue, id, math.floor(now))
  note_in_batch(hash, id, 'canceled')
  rare.notify_end(id, 'canceled', job.webhook)
  tally((name_type(job.type) or 'other') .. '|||canceled', 1)
  if job.limit then pcall(rare.free_slot, id, job.limit) end
end

-- Where a dependent under a concurrency key goes.
local function limit_directly(id, hash, job)
  call('HSET', hash, 'status', 'rate_limited')
  rare.wait_for_slot(job.limit, job.concurrency, id, job.queue)
  rare.fill_slots(job.limit)
end

function rare.pass_on(id, job)
  redis.pcall('ZREM', keys.DEFERRED .. job.queue, id)
  if job.limit then
    if not pcall(limit_directly, id, keys.JOB .. id, job) then
      -- paste store/put_off
      put_off(id, job.queue)
    end
  else
    rare.queue_job(id, job.queue, job.front)
  end
end

local settler

-- What settles dependents, made when a job has some (lib/store/settle_dependents.lua says why).
function rare.open_settler()
  if settler then return settler end
  settler = {}
  local notes = rare.open_settling()

  -- Settle one that waited for `parent`: those that it cancels go to `ended`. Returns whether it still waits: for other
  -- jobs, or, by the second value, for the requeue of `parent`.
  local function settle_one(id, parent, outcome, ended)
    local job = rare.read_job(id)
    left = left - 1
    if not job or job.status ~= 'deferred' then return false, false end
    if rare.accepts(job, outcome) then
      if not are_others_met(id, job, parent) then return true, false end
      rare.pass_on(id, job)
      call('SREM', keys.JOB .. parent .. keys.DEPENDENTS, id)
      return false, false
    end
    if job.on_failure == 'wait' and outcome ~= 'deleted' then return true, true end
    local why = outcome == 'deleted' and 'was deleted' or 'did not succeed'
    mark_canceled(id, job, rare.describe_cancel('it waited for job ' .. parent .. ', which ' .. why))
    ended[#ended + 1] = {id = id, outcome = 'canceled', ttl = job.ttl}
    return false, false
  end

  -- Give those of a note that go on waiting back to RQ's set, which goes with the parent's record.
  local function give_back(parent, ids, is_awaited)
    local key, ttl = keys.JOB .. parent .. keys.DEPENDENTS, call('TTL', keys.JOB .. parent)
    if #ids == 0 or ttl == -2 then return end
    call('SADD', key, unpack(ids))
    if is_awaited then rare.keep(parent) elseif ttl >= 0 then call('EXPIRE', key, math.max(ttl, 1)) end
  end

  -- Settle one of a note, later than the parent has ended: it may have been requeued or deleted since then. One that
  -- waits for its requeue is settled by how it stands now.
  local function settle_late(id, parent, outcome, ended)
    local waits, awaits = settle_one(id, parent, outcome, ended)
    local status = awaits and (outcomes[parent] or rare.read_status(parent) or 'deleted')
    if status == 'finished' or status == 'deleted' then return settle_one(id, parent, status, ended) end
    return waits, awaits
  end

  -- Settle those of a note, as many as this script may. A damaged record holds up no other; the sweep of waiting jobs
  -- settles what is left by it.
  local function settle_noted(name, parent, outcome, ended)
    local waiting, is_awaited = {}, false
    while left > 0 do
      local id = notes.pop_noted(name)
      if not id then break end
      local ok, waits, awaits = pcall(settle_late, id, parent, outcome, ended)
      if not ok then
        local why = rare.describe_fault(waits)
        redis.log(redis.LOG_WARNING, 'errand: job ' .. id .. ', which waited for ' .. parent .. ': ' .. why)
      elseif waits and outcome ~= 'finished' then
        waiting[#waiting + 1] = id
      end
      is_awaited = is_awaited or (ok and awaits)
    end
    give_back(parent, waiting, is_awaited)
    return is_awaited
  end

  -- One end of `settle_ends`: settle those that wait for it, or note them where they are more than this script may
  -- settle, and settle some of them.
  function settler.settle_children(parent, outcome, ended)
    local key, is_awaited = keys.JOB .. parent .. keys.DEPENDENTS, false
    local count = call('SCARD', key)
    if count == 0 then return false end
    if count > left then
      local name = notes.note_dependents(parent, outcome)
      return not name or settle_noted(name, parent, outcome, ended) -- without a note the parent is kept for the sweep
    end
    for _, id in ipairs(call('SMEMBERS', key)) do
      if left <= 0 then
        notes.note_dependents(parent, outcome)
        break
      end
      local _, awaits = settle_one(id, parent, outcome, ended)
      is_awaited = is_awaited or awaits
    end
    return is_awaited
  end

  -- Settle those that wait for canceled jobs, and for those that this cancels, all the way down. Not by recursion: a
  -- chain may be longer than Lua's stack.
  function settler.settle_ends(ended)
    local at = 1
    while ended[at] do
      local one = ended[at]
      if settler.settle_children(one.id, one.outcome, ended) then
        rare.keep(one.id)
      elseif one.ttl >= 0 then
        rare.expire_job(one.id, math.max(one.ttl, 1))
      end
      at = at + 1
    end
  end

  -- Go on with what is noted, the oldest first, as far as this script may. Returns whether there is more.
  function settler.go_on()
    local name, outcome, parent = notes.find_note()
    while name and left > 0 do
      local ended = {}
      settle_noted(name, parent, outcome, ended)
      settler.settle_ends(ended)
      name, outcome, parent = notes.find_note()
    end
    return name ~= nil
  end

  -- Whether this script has done as much as it may: the server does nothing else meanwhile.
  function settler.is_full()
    return left <= 0
  end

  return settler
end

-- Settle the jobs that waited for `parent`, which has come to `outcome` (finished, failed, stopped, canceled, deleted):
-- queue those that can run, cancel those that can't, all the way down (RQ leaves them). Returns whether one of them, as
-- far as they were looked at, waits for the requeue of `parent`, which then must not expire.
function rare.settle_dependents(parent, outcome)
  outcomes[parent] = outcome
  if call('SCARD', keys.JOB .. parent .. keys.DEPENDENTS) == 0 then return false end
  local ended, with = {}, rare.open_settler()
  local is_awaited = with.settle_children(parent, outcome, ended)
  with.settle_ends(ended)
  return is_awaited
end

-- Cancel a job that has not begun, and with it what its dependents' own on_failure says.
function rare.cancel_job(id, job, error)
  mark_canceled(id, job, error)
  if rare.settle_dependents(id, 'canceled') then rare.keep(id)
  elseif job.ttl >= 0 then rare.expire_job(id, math.max(job.ttl, 1)) end
end
