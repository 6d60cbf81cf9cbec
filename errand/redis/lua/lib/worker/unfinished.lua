-- What becomes of jobs whose attempts don't finish them.
-- ARGV  as lib/worker/execution_records.lua
-- rare
-- gives end_otherwise, look_at_service
-- include base, jobs, dependents, parked, observe/attempts, worker/execution_records, worker/end_lease
-- include worker/finish, worker/failure
-- include worker/hand_back, backoff, worker/types, worker/hold_types, worker/park, worker/retry

-- Write down how the attempt of a report has ended, by its number.
local function note_end(report, number, outcome)
  local error = outcome == 'stopped' and rare.STOPPED or report.error
  local from, to = report.started, report.ended
  pcall(rare.note_attempt, report.id, number, outcome, worker, from, to, error, report.frame, report.value)
end

local function fail(report, hash, status, may_retry)
  local number = call('HGET', hash, 'errand_attempts')
  rare.release(report.id, report.execution, report.queue)
  counted.failed_job_count = counted.failed_job_count + 1
  call('HSET', hash, 'ended_at', report.ended_text, 'last_heartbeat', report.ended_text, 'errand_frame', report.frame)
  local again = may_retry and rare.retry(report, hash)
  local fate = again or rare.fail_for_good(report.id, report.execution, report.queue, status, report.error,
    report.value, report.started, report.ended)
  note_end(report, number, again and 'failed' or fate)
  return fate
end

-- Park a job that this worker can't run for one that can, as if it had not been taken.
local function give_away(report, hash, job_type, codes)
  rare.release(report.id, report.execution, report.queue)
  call('HSET', hash, 'status', 'queued', 'errand_refused', codes, 'errand_error', report.error)
  call('HINCRBY', hash, 'errand_attempts', -1)
  rare.park(report.id, rare.build_park(report.queue, job_type, codes))
  return 'parked'
end

-- The payload does not fit this worker's code of the type: it may fit another's, while there is one.
local function refuse(report, hash)
  local found = call('HMGET', hash, 'description', 'errand_refused', 'errand_stop')
  local job_type = name_type(found[1] or '')
  local code = job_type and find_code(job_type)
  if code and not rare.is_to_stop(found[3], report.execution) then
    local codes = {code}
    for other in (found[2] or ''):gmatch('%w+') do
      if other ~= code then codes[#codes + 1] = other end
    end
    table.sort(codes)
    codes = table.concat(codes, '.')
    if rare.fits_other(report.queue, job_type, codes) then return give_away(report, hash, job_type, codes) end
  end
  call('HSET', hash, 'retries_left', 0)
  return fail(report, hash, 'failed', false)
end

-- The payload names a function of a type that this worker doesn't have, and the description did not say so.
local function pass_by(report, hash)
  local job_type = report.kind:match(':(.*)$')
  if not find_code(job_type) and not rare.is_to_stop(call('HGET', hash, 'errand_stop'), report.execution) then
    return give_away(report, hash, job_type, call('HGET', hash, 'errand_refused') or '')
  end
  call('HSET', hash, 'retries_left', 0)
  return fail(report, hash, 'failed', false)
end

-- A part of the work is done, and no try is left for the rest.
local function finish_with(report, hash, found, result)
  call('HDEL', hash, 'errand_error')
  call('HSET', hash, 'errand_partial', result) -- what is left may be requeued
  report.value, report.alone = result, false
  return finish(report, hash, found)
end

-- A part of the work is done: the job fails while there is a try left for the rest, else it finishes with that.
local function finish_partly(report, hash, found, result, may_retry)
  rare.release(report.id, report.execution, report.queue)
  local again = may_retry and rare.retry(report, hash)
  if not again then return finish_with(report, hash, found, result) end
  counted.failed_job_count = counted.failed_job_count + 1
  call('HSET', hash, 'ended_at', report.ended_text, 'last_heartbeat', report.ended_text, 'errand_partial', result,
    'errand_frame', report.frame)
  note_end(report, call('HGET', hash, 'errand_attempts'), 'failed')
  return again
end

-- An attempt has failed; one before may have done a part of the work.
local function fail_or_finish(report, hash, found, may_retry)
  local kept = call('HMGET', hash, 'errand_partial', 'errand_stop')
  local result = report.kind:match('^partial:(.*)$') or kept[1]
  if not result or rare.is_to_stop(kept[2], report.execution) then return fail(report, hash, 'failed', may_retry) end
  return finish_partly(report, hash, found, result, may_retry)
end

-- What the job works with is down, which is no fault of its own: no try is spent, and only its hours end it.
local function hold(report, hash, ends)
  local found = call('HMGET', hash, 'description', 'errand_stop', 'errand_backoff', 'errand_first_start')
  local job_type, policy = name_type(found[1] or ''), found[3] and rare.read_backoff(found[3])
  if not job_type or rare.is_to_stop(found[2], report.execution) then return fail(report, hash, 'failed', false) end
  rare.note_down(job_type, report.member, cjson.decode(report.error).message)
  if policy and policy.seconds then
    if not found[4] then call('HSET', hash, 'errand_first_start', report.started) end
    if clock[1] - (tonumber(found[4] or '') or report.started) >= policy.seconds then
      call('HSET', hash, 'retries_left', 0)
      return fail_or_finish(report, hash, ends, false)
    end
  end
  rare.release(report.id, report.execution, report.queue)
  call('HSET', hash, 'status', 'queued', 'errand_error', report.error)
  call('HINCRBY', hash, 'errand_attempts', -1)
  rare.park(report.id, rare.build_hold(report.queue, job_type, rare.find_service(job_type)))
  return 'parked'
end

local record = {
  failed = function(report, hash, found) return fail_or_finish(report, hash, found, true) end,
  permanent = function(report, hash)
    call('HSET', hash, 'retries_left', 0)
    return fail(report, hash, 'failed', false)
  end,
  refused = refuse,
  unknown = pass_by,
  down = hold,
  partial = function(report, hash, found) return fail_or_finish(report, hash, found, true) end,
  stopped = function(report, hash) return fail(report, hash, 'stopped', false) end,
  expired = function(report, hash, found)
    rare.release(report.id, report.execution, report.queue)
    local result = call('HGET', hash, 'errand_partial')
    if result then return finish_with(report, hash, found, result) end
    note_end(report, call('HGET', hash, 'errand_attempts'), 'failed')
    rare.cancel_job(report.id, rare.read_job(report.id), report.error)
    return 'expired'
  end,
  interrupted = function(report) return rare.hand_back(report.member, false, '') end,
}

-- Record the end of an attempt that did not finish its job; return what became of it.
function rare.end_otherwise(report, hash, found)
  local act = record[report.kind] or record[report.kind:match('^%l+')]
  return act(report, hash, found)
end

-- Ends that show that a job's service is up: the job came past it, well or not.
local PASSED = {finished = true, failed = true, permanent = true, partial = true}

function rare.look_at_service(report, hash)
  local kind = report.kind:match('^%l+')
  local job_type = PASSED[kind] and name_type(call('HGET', hash, 'description') or '')
  if job_type and rare.note_up(job_type) then rare.note_taker(report.queue) end
end
