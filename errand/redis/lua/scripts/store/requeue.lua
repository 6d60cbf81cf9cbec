#!lua
-- Queues ended jobs again, as if they were new, but for their counts of attempts and interruptions; they don't expire
-- any more: somebody wants them now. Sent twice, because a reply was lost, it changes nothing and answers the same:
-- each job keeps the token of the call.
-- ARGV  JSON {statuses: {status: true, …}, undone: whether those may be queued as well that have finished with a part
--       of their work undone, or that have not ended and are in no list, registry: where each job has to be or nothing,
--       token, edit: {bodies: {holder, all: [[SHA-256, bytes], …]}, payload: the one before in base64} or nothing},
--       then the jobs' ids; with an edit one id, its new data and the one that is to be there
-- Returns for each job '' (it is queued again), false (it is not there) or why it can't be.
-- include base, clock, time, events, push, jobs, keep_dead_letters, slots, backoff, store/bodies, store/lost_jobs

local request = cjson.decode(ARGV[1])
local ENDED_BADLY, ENDED = keys.ENDED_BADLY, keys.ENDED
local FIELDS = {'status', 'origin', 'data', 'retry_intervals', 'rate_limit_key', 'dependency_ids',
  'allow_dependency_failures', 'errand_batch', 'errand_requeue', 'rate_limit_concurrency', 'errand_on_failure',
  'errand_backoff', 'errand_expires_at', 'errand_partial', 'errand_bodies', 'errand_attempts', 'errand_edits'}
read_time()
now = math.floor(now) -- as RQ scores what is deferred

local function read(hash)
  local found, values = {}, call('HMGET', hash, unpack(FIELDS))
  for i, field in ipairs(FIELDS) do found[field] = values[i] and values[i] ~= '' and values[i] or nil end
  return found
end

-- RQ queues a job that waited for another a second time when that one finishes, unless it is deferred till then.
local function find_place(id, job)
  -- One that has run waits for nothing any more.
  if job.status ~= 'canceled' and job.status ~= 'deferred' then return 'queued' end
  if call('ZCOUNT', keys.EXECUTIONS .. id, now, '+inf') > 0 then return nil, 'it is still running' end
  local place = 'queued'
  for _, parent in ipairs(job.parents) do
    local status = call('HGET', keys.JOB .. parent, 'status')
    local met = not status or status == 'finished' or (status == 'failed' and job.allow_dependency_failures == '1')
      or (ENDED_BADLY[status] and job.errand_on_failure == 'run')
    if not met and ENDED_BADLY[status] and job.errand_on_failure ~= 'wait' then
      return nil, 'it waits for job ' .. parent .. ', which is ' .. status .. '; requeue that one first'
    end
    if not met then place = 'deferred' end
  end
  return place
end

-- Whether it has not ended and is in no list: it would never run again.
local function may_be_lost(id, job)
  local found = request.undone and not ENDED[job.status] and rare.read_job(id)
  return found and is_lost(id, found)
end

local function judge(id, hash, job)
  local damage = not job.data and 'there is no data in it' or not job.origin and 'it names no queue'
    or not job.status and 'it has no status' or not job.waits and 'its retry_intervals are no list'
    or not job.parents and 'its dependency_ids are no list'
  if damage then return nil, 'its record is damaged: ' .. damage end
  local is_undone = request.undone and job.status == 'finished' and job.errand_partial
  if not request.statuses[job.status] and not is_undone and not may_be_lost(id, job) then
    return nil, 'its status is ' .. job.status
  end
  local edit = request.edit
  if edit and job.data ~= ARGV[4] then return nil, 'its payload has been changed meanwhile' end
  if edit and find_lost_body(edit.bodies.all) then return nil, 'a part of the new payload is gone; try again' end
  local place, reason = find_place(id, job)
  return place == 'queued' and job.rate_limit_key and 'rate_limited' or place, reason
end

local function refresh(id, hash, job, place)
  local own = {hash, keys.RESULTS .. id, hash .. keys.DEPENDENTS, keys.JOB_LINKS .. id .. keys.DEPENDENCIES}
  for _, key in ipairs(own) do call('PERSIST', key) end
  call('HDEL', hash, 'errand_losses', 'errand_error', 'errand_progress', 'number_of_retries', 'errand_stop',
    'errand_cancel', 'errand_first_start', 'errand_expires_at', 'errand_expires_by', 'errand_partial', 'errand_due')
  if job.errand_expires_at then pcall_redis('ZREM', keys.EXPIRES, id) end
  call('HSET', hash, 'status', place, 'started_at', '', 'ended_at', '', 'errand_requeue', request.token)
  local policy = job.errand_backoff and rare.read_backoff(job.errand_backoff)
  if policy then call('HSET', hash, 'retries_left', policy.retries)
  elseif job.retry_intervals then call('HSET', hash, 'retries_left', #job.waits) end
  pcall_redis('ZREM', keys.FAILED .. job.origin, id) -- one of a wrong type has it no more
  pcall_redis('ZREM', keys.CANCELED .. job.origin, id)
  if job.errand_partial then pcall_redis('ZREM', keys.FINISHED .. job.origin, id) end
  local record = keys.BATCH .. (job.errand_batch or '')
  if job.errand_batch and pcall_redis('HEXISTS', record, id) == 1 then call('HSET', record, id, '') end
end

-- Give a job its new payload; the one before stays in `errand_edits`: the first, and the last ones.
local function edit_payload(id, hash, job)
  local edits, bodies, places = rare.read_list(job.errand_edits) or {}, request.edit.bodies.all, {}
  edits[#edits + 1] = {at = now_text, attempts = tonumber(job.errand_attempts) or 0, payload = request.edit.payload}
  if #edits > keys.EDITS_LIMIT then table.remove(edits, 2) end
  call('HSET', hash, 'data', ARGV[3], 'errand_edits', cjson.encode(edits))
  call('HDEL', hash, 'errand_bodies')
  for i = 1, #bodies do places[i] = i end
  hold_bodies(hash, bodies, places)
  local held = call('HGET', hash, 'errand_bodies') or ''
  for name in (job.errand_bodies or ''):gmatch('%x+') do
    if not held:find(name, 1, true) then let_go_of_body(name, id) end
  end
end

local put = {
  queued = function(id, _, job) rare.queue_job(id, job.origin, false) end,
  rate_limited = function(id, _, job)
    call('ZREM', keys.LIMIT .. job.rate_limit_key .. keys.ALLOWED, id)
    rare.wait_for_slot(job.rate_limit_key, job.rate_limit_concurrency or '1', id, job.origin)
    rare.fill_slots(job.rate_limit_key)
  end,
  deferred = function(id, _, job)
    pcall_redis('ZADD', keys.DEFERRED .. job.origin, now, id) -- its parents know of it as well
    for _, parent in ipairs(job.parents) do
      if call('EXISTS', keys.JOB .. parent) == 1 then -- else it counts as finished, and nobody would take these away
        call('SADD', keys.JOB .. parent .. keys.DEPENDENTS, id)
        call('SADD', keys.JOB_LINKS .. id .. keys.DEPENDENCIES, parent)
      end
      if job.errand_on_failure == 'wait' then rare.keep(parent) end
    end
  end,
}

local function requeue(id)
  local hash = keys.JOB .. id
  local kind = call('TYPE', hash).ok
  if kind == 'none' then
    if request.registry then call('ZREM', request.registry, id) end
    return false
  end
  if kind ~= 'hash' then return 'its record is damaged: it is a ' .. kind .. ', no hash' end
  local job = read(hash)
  if job.errand_requeue == request.token then return '' end
  if request.registry and not call('ZSCORE', request.registry, id) then return false end
  job.waits, job.parents = rare.read_list(job.retry_intervals), rare.read_list(job.dependency_ids)
  local place, reason = judge(id, hash, job)
  if not place then return reason end
  if job.status == 'started' then call('DEL', keys.EXECUTIONS .. id) end -- of an attempt that nothing runs any more
  if request.edit then edit_payload(id, hash, job) end
  refresh(id, hash, job, place)
  if not pcall(put[place], id, hash, job) then
    -- paste store/put_off
    put_off(id, job.origin)
  end
  touch(id)
  return ''
end

local outcomes = {}
for i = 2, request.edit and 2 or #ARGV do outcomes[i - 1] = requeue(ARGV[i]) end
for _, body in ipairs(request.edit and request.edit.bodies.all or {}) do
  let_go_of_body(body[1], request.edit.bodies.holder)
end
wake_workers()
publish_touched()
return outcomes
