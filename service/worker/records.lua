-- What the worker's scripts share: RQ 3.0.0's records of a job and its executions, and our leases beside them.
-- An execution is held while its member «job:execution» is in errand:leases; whoever takes it out decides what becomes
-- of the job, so a word that comes later finds nothing and is dropped.
-- ARGV  1 the worker's name, 2 the lease in milliseconds, 3 now in RQ's format, 4 now in seconds, 5 and 6 how many
--       seconds finished and failed jobs are kept that don't say so themselves; the rest is each script's own

local worker = ARGV[1]
now_text, now, failure_seconds = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])
local clock = call('TIME')
local lease_ends_ms = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[2]
local worker_key = 'rq:worker:' .. worker
local LEASES, LOST_LIMIT = 'errand:leases', 3
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

-- The slot of a job that was canceled while it ran, with RQ's own tools; not of one that waits to run again.
local function free_late_slot(id, status, limit)
  if limit and limit ~= '' and status ~= 'queued' and status ~= 'rate_limited' then free_slot(id, limit) end
end

local function tell(error)
  return type(error) == 'table' and error.err or tostring(error)
end

-- Leave a damaged job where it is: failed, with the reason.
local function set_aside(id, reason)
  local hash = 'rq:job:' .. id
  reason = "its record can't be read: " .. reason
  touch(id)
  if is_hash(hash) then
    call('HSET', hash, 'status', 'failed', 'errand_error', cjson.encode({type = 'DamagedJob', message = reason}))
    call('EXPIRE', hash, ARGV[6])
    local queue = call('HGET', hash, 'origin')
    if queue then pcall_redis('ZADD', 'rq:failed:' .. queue, math.floor(now) + failure_seconds, id) end
    note_in_batch(hash, id, 'failed')
    tell_end(id, 'failed', call('HGET', hash, 'errand_webhook'), now_text)
    local limit = call('HGET', hash, 'rate_limit_key')
    if limit and limit ~= '' then pcall(free_slot, id, limit) end
  end
  return {id, reason}
end

local function add_result(id, kind, execution, field, value, started, ended, ttl)
  local key = 'rq:results:' .. id
  call('XADD', key, 'MAXLEN', '~', '10', '*', 'type', kind, 'worker_name', worker, 'execution_id', execution,
    'execution_started_at', started, 'execution_ended_at', ended, unpack(value ~= '' and {field, value} or {}))
  if ttl == -1 then call('PERSIST', key) elseif ttl then call('EXPIRE', key, ttl) end
end

-- Somebody asked for the stop of this very execution: whatever ends it now, it was stopped, and does not run again.
local function is_to_stop(mark, execution)
  return mark and mark:find(execution, 1, true) ~= nil
end

-- Record an end without success: `status` is failed or stopped, `trace` as RQ keeps it (zlib, base64). Returns the
-- status recorded.
local function fail_for_good(id, execution, queue, status, error, trace, started, ended)
  local hash = 'rq:job:' .. id
  local found = call('HMGET', hash, 'failure_ttl', 'errand_stop', 'rate_limit_key', 'errand_webhook')
  if is_to_stop(found[2], execution) then status, error = 'stopped', STOPPED end
  local is_awaited = settle_dependents(id, status)
  local own_ttl = tonumber(found[1] or '')
  if is_awaited then own_ttl = -1 end
  local ttl = own_ttl or failure_seconds
  call('HSET', hash, 'status', status, 'errand_error', error)
  call('ZADD', 'rq:failed:' .. queue, ttl < 0 and ttl or math.floor(now) + ttl, id)
  add_result(id, '2', execution, 'exc_string', trace, started, ended, own_ttl) -- RQ keeps it for ever then
  note_in_batch(hash, id, status)
  tell_end(id, status, found[4])
  if found[3] and found[3] ~= '' then free_slot(id, found[3]) end
  if is_awaited then keep(id) end
  expire_job(id, ttl)
  if ttl == 0 then call('DEL', unpack(list_job_keys(id))) end
  return status
end

local function give_back(id, execution, is_loss, trace)
  local hash = 'rq:job:' .. id
  if not is_hash(hash) then
    release(id, execution, '')
    return 'deleted'
  end
  local found = call('HMGET', hash, 'origin', 'status', 'errand_stop', 'rate_limit_key')
  release(id, execution, found[1] or '')
  if not found[1] then error('it names no queue') end
  if found[2] ~= 'started' then
    free_late_slot(id, found[2], found[4])
    return found[2] or 'nothing'
  end
  if is_to_stop(found[3], execution) then
    call('HSET', hash, 'ended_at', now_text, 'last_heartbeat', now_text)
    return fail_for_good(id, execution, found[1], 'stopped', STOPPED, '', ARGV[4], ARGV[4])
  elseif not is_loss then
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
  touch(id)
  local ok, fate = pcall(give_back, id, execution, is_loss, trace)
  if ok then return fate end
  set_aside(id, tell(fate))
  return 'set aside'
end

-- Every script ends with this: wake the idle, keep the worker's own counts.
local function close()
  wake()
  if counted.successful_job_count + counted.failed_job_count > 0 and call('EXISTS', worker_key) == 1 then
    for _, name in ipairs({'successful_job_count', 'failed_job_count'}) do
      if counted[name] > 0 then call('HINCRBY', worker_key, name, counted[name]) end
    end
    call('HINCRBYFLOAT', worker_key, 'total_working_time', counted.total_working_time)
  end
end
