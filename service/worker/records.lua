-- What the worker's scripts share: RQ 3.0.0's records of a job and its executions, and our leases beside them.
-- An execution is held while its member «job:execution» is in errand:leases; whoever takes it out decides what becomes
-- of the job, so a word that comes later finds nothing and is dropped.
-- ARGV  1 the worker's name, 2 the lease in milliseconds, 3 now in RQ's format, 4 now in seconds, 5 and 6 how many
--       seconds finished and failed jobs are kept that don't say so themselves; the rest is each script's own

local call, pcall_redis = redis.call, redis.pcall
local worker, now_text, now = ARGV[1], ARGV[3], tonumber(ARGV[4])
local clock = call('TIME')
local lease_ends_ms = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[2]
local worker_key = 'rq:worker:' .. worker
local LEASES, LOST_LIMIT = 'errand:leases', 3
local woken, rate_limited = {}, {}
local counted = {successful_job_count = 0, failed_job_count = 0, total_working_time = 0}

local function split(member)
  return member:match('^(.*):([^:]*)$')
end

local function is_hash(key)
  return call('TYPE', key).ok == 'hash'
end

local function name_held(worker_name)
  return 'rq:worker:' .. worker_name .. ':executions'
end

-- A batch's record may be damaged or gone; the job's end must not suffer from that.
local function note_in_batch(hash, id, status)
  local batch = call('HGET', hash, 'errand_batch')
  if batch and pcall_redis('HEXISTS', 'errand:batch:' .. batch, id) == 1 then
    call('HSET', 'errand:batch:' .. batch, id, status)
  end
end

local function queue_job(hash, id, queue, front)
  call('HSET', hash, 'status', 'queued', 'enqueued_at', now_text)
  call('SADD', 'rq:queues', 'rq:queue:' .. queue)
  call(front and 'LPUSH' or 'RPUSH', 'rq:queue:' .. queue, id)
  woken[queue] = true
end

-- Take an execution out of every record but the job's own, whatever is wrong with one of them: our lease first.
local function release(id, execution, queue)
  local member = id .. ':' .. execution
  call('ZREM', LEASES, member)
  local owner = pcall_redis('HGET', 'rq:execution:' .. member, 'worker_name')
  call('DEL', 'rq:execution:' .. member)
  pcall_redis('ZREM', 'rq:executions:' .. id, execution)
  pcall_redis('ZREM', 'rq:wip:' .. queue, member)
  pcall_redis('SREM', name_held(type(owner) == 'string' and owner or worker), member)
end

local function tell(error)
  return type(error) == 'table' and error.err or tostring(error)
end

-- Leave a damaged job where it is: failed, with the reason.
local function set_aside(id, reason)
  local hash = 'rq:job:' .. id
  reason = "its record can't be read: " .. reason
  if is_hash(hash) then
    call('HSET', hash, 'status', 'failed', 'errand_error', cjson.encode({type = 'DamagedJob', message = reason}))
    call('EXPIRE', hash, ARGV[6])
    note_in_batch(hash, id, 'failed')
  end
  return {id, reason}
end

local function add_result(id, kind, execution, field, value, started, ended, ttl)
  local key = 'rq:results:' .. id
  local pairs = {'type', kind, 'worker_name', worker}
  if value ~= '' then pairs[5], pairs[6] = field, value end
  for _, item in ipairs({'execution_id', execution, 'execution_started_at', started, 'execution_ended_at', ended}) do
    pairs[#pairs + 1] = item
  end
  call('XADD', key, 'MAXLEN', '~', '10', '*', unpack(pairs))
  if ttl == -1 then call('PERSIST', key) elseif ttl then call('EXPIRE', key, ttl) end
end

local function list_job_keys(id)
  return {'rq:job:' .. id, 'rq:job:' .. id .. ':dependents', 'rq:job::' .. id .. ':dependencies'}
end

local function expire_job(id, ttl)
  if ttl > 0 then
    for _, key in ipairs(list_job_keys(id)) do call('EXPIRE', key, ttl) end
  end
end

-- Like RQ's Job.dependencies_are_met: a parent that no longer exists counts as finished.
local function are_others_met(child, parent, allows_failure)
  for _, id in ipairs(call('SMEMBERS', 'rq:job::' .. child .. ':dependencies')) do
    if id ~= parent then
      local status = call('HGET', 'rq:job:' .. id, 'status')
      if status and status ~= 'finished' and not (allows_failure and status == 'failed') then return false end
    end
  end
  return true
end

-- Queue the jobs that waited for `parent`; cancel those that can't run any more, all the way down (RQ leaves them).
local function settle_dependents(parent, outcome, ttl)
  local key = 'rq:job:' .. parent .. ':dependents'
  for _, id in ipairs(call('SMEMBERS', key)) do
    local hash = 'rq:job:' .. id
    local found = call('HMGET', hash, 'status', 'origin', 'allow_dependency_failures', 'rate_limit_key', 'enqueue_at_front')
    local status, queue, allows_failure = found[1], found[2], found[3] == '1'
    if status == 'deferred' and (outcome == 'finished' or (outcome == 'failed' and allows_failure)) then
      if are_others_met(id, parent, allows_failure) then
        call('ZREM', 'rq:deferred:' .. queue, id)
        if found[4] and found[4] ~= '' then -- RQ's own code lets it through, by its limit
          call('HSET', hash, 'status', 'ready_to_enqueue')
          call('ZADD', 'rq:ready:' .. queue, math.floor(now), id)
          rate_limited[#rate_limited + 1] = id
        else
          queue_job(hash, id, queue, found[5] == '1')
        end
        call('SREM', key, id)
      end
    elseif status == 'deferred' then
      local why = {type = 'Canceled', message = 'it waited for job ' .. parent .. ', which did not succeed'}
      call('HSET', hash, 'status', 'canceled', 'errand_error', cjson.encode(why))
      call('ZREM', 'rq:deferred:' .. queue, id)
      call('ZADD', 'rq:canceled:' .. queue, math.floor(now), id)
      note_in_batch(hash, id, 'canceled')
      settle_dependents(id, 'canceled', ttl)
      if ttl > 0 then call('EXPIRE', hash, ttl) end
    end
  end
end

-- Record an end without success: `status` is failed or stopped, `trace` as RQ keeps it (zlib, base64).
local function fail_for_good(id, execution, queue, status, error, trace, started, ended)
  local hash = 'rq:job:' .. id
  local own_ttl = tonumber(call('HGET', hash, 'failure_ttl') or '')
  local ttl = own_ttl or tonumber(ARGV[6])
  call('HSET', hash, 'status', status, 'errand_error', error)
  call('ZADD', 'rq:failed:' .. queue, ttl < 0 and ttl or math.floor(now) + ttl, id)
  add_result(id, '2', execution, 'exc_string', trace, started, ended, own_ttl) -- RQ keeps it for ever then
  note_in_batch(hash, id, status)
  settle_dependents(id, status, ttl)
  expire_job(id, ttl)
  if ttl == 0 then call('DEL', unpack(list_job_keys(id))) end
end

local function give_back(id, execution, is_loss, trace)
  local hash = 'rq:job:' .. id
  if not is_hash(hash) then
    release(id, execution, '')
    return 'deleted'
  end
  local found = call('HMGET', hash, 'origin', 'status')
  release(id, execution, found[1] or '')
  if not found[1] then error('it names no queue') end
  if found[2] ~= 'started' then return found[2] or 'nothing' end
  if not is_loss then
    call('HINCRBY', hash, 'errand_interruptions', 1)
  elseif call('HINCRBY', hash, 'errand_losses', 1) >= LOST_LIMIT then
    call('HSET', hash, 'ended_at', now_text, 'last_heartbeat', now_text)
    local why = {type = 'Lost', message = 'the process that ran it died ' .. LOST_LIMIT .. ' times'}
    fail_for_good(id, execution, found[1], 'failed', cjson.encode(why), trace, ARGV[4], ARGV[4])
    return 'failed'
  end
  queue_job(hash, id, found[1], true)
  return 'queued'
end

-- Hand back a job whose execution ended without a word of its own; a damaged one must not hold up the others. Returns
-- what became of it.
local function hand_back(member, is_loss, trace)
  if not call('ZSCORE', LEASES, member) then return 'late' end
  local id, execution = split(member)
  local ok, fate = pcall(give_back, id, execution, is_loss, trace)
  if ok then return fate end
  set_aside(id, tell(fate))
  return 'set aside'
end

-- Every script ends with this: wake the idle, keep the worker's own counts.
local function close()
  for queue, _ in pairs(woken) do call('PUBLISH', 'errand:work', queue) end
  if counted.successful_job_count + counted.failed_job_count > 0 and call('EXISTS', worker_key) == 1 then
    for _, name in ipairs({'successful_job_count', 'failed_job_count'}) do
      if counted[name] > 0 then call('HINCRBY', worker_key, name, counted[name]) end
    end
    call('HINCRBYFLOAT', worker_key, 'total_working_time', counted.total_working_time)
  end
end
