-- What becomes of jobs whose attempts end otherwise than well.
-- ARGV  as lib/worker/head.lua
-- rare
-- gives end_otherwise, look_at_service
-- include base, jobs, dependents, parked, observe/attempts, worker/head, worker/release, worker/finish, worker/failure
-- include worker/handback, backoff, worker/types, worker/holds, worker/park, worker/retry

-- Write down how the attempt of a word has ended, by its number.
local function note_end(word, number, outcome)
  local error = outcome == 'stopped' and rare.STOPPED or word.error
  pcall(rare.note_attempt, word.id, number, outcome, worker, word.started, word.ended, error, word.frame, word.value)
end

local function fail(word, hash, status, may_retry)
  local number = call('HGET', hash, 'errand_attempts')
  rare.release(word.id, word.execution, word.queue)
  counted.failed_job_count = counted.failed_job_count + 1
  call('HSET', hash, 'ended_at', word.ended_text, 'last_heartbeat', word.ended_text, 'errand_frame', word.frame)
  local again = may_retry and rare.retry(word, hash)
  local fate = again or rare.fail_for_good(word.id, word.execution, word.queue, status, word.error, word.value, word.started,
    word.ended)
  note_end(word, number, again and 'failed' or fate)
  return fate
end

-- Park a job that this worker can't run for one that can, as if it had not been taken.
local function give_away(word, hash, job_type, codes)
  rare.release(word.id, word.execution, word.queue)
  call('HSET', hash, 'status', 'queued', 'errand_refused', codes, 'errand_error', word.error)
  call('HINCRBY', hash, 'errand_attempts', -1)
  rare.park(word.id, rare.build_park(word.queue, job_type, codes))
  return 'parked'
end

-- The payload does not fit this worker's code of the type: another's it may fit, while there is one.
local function refuse(word, hash)
  local found = call('HMGET', hash, 'description', 'errand_refused', 'errand_stop')
  local job_type = name_type(found[1] or '')
  local code = job_type and find_code(job_type)
  if code and not rare.is_to_stop(found[3], word.execution) then
    local codes = {code}
    for other in (found[2] or ''):gmatch('%w+') do
      if other ~= code then codes[#codes + 1] = other end
    end
    table.sort(codes)
    codes = table.concat(codes, '.')
    if rare.fits_other(word.queue, job_type, codes) then return give_away(word, hash, job_type, codes) end
  end
  call('HSET', hash, 'retries_left', 0)
  return fail(word, hash, 'failed', false)
end

-- The payload names a function of a type that this worker has not, which the description did not tell.
local function pass_by(word, hash)
  local job_type = word.kind:match(':(.*)$')
  if not find_code(job_type) and not rare.is_to_stop(call('HGET', hash, 'errand_stop'), word.execution) then
    return give_away(word, hash, job_type, call('HGET', hash, 'errand_refused') or '')
  end
  call('HSET', hash, 'retries_left', 0)
  return fail(word, hash, 'failed', false)
end

-- A part of the work is done, and no try is left for the rest.
local function finish_with(word, hash, found, result)
  call('HDEL', hash, 'errand_error')
  call('HSET', hash, 'errand_partial', result) -- what is left may be requeued
  word.value, word.alone = result, false
  return finish(word, hash, found)
end

-- A part of the work is done: it fails while there is a try left for the rest, and else finishes with that.
local function finish_partly(word, hash, found, result, may_retry)
  rare.release(word.id, word.execution, word.queue)
  local again = may_retry and rare.retry(word, hash)
  if not again then return finish_with(word, hash, found, result) end
  counted.failed_job_count = counted.failed_job_count + 1
  call('HSET', hash, 'ended_at', word.ended_text, 'last_heartbeat', word.ended_text, 'errand_partial', result,
    'errand_frame', word.frame)
  note_end(word, call('HGET', hash, 'errand_attempts'), 'failed')
  return again
end

-- An attempt has failed; one before may have done a part of the work.
local function fail_or_finish(word, hash, found, may_retry)
  local kept = call('HMGET', hash, 'errand_partial', 'errand_stop')
  local result = word.kind:match('^partial:(.*)$') or kept[1]
  if not result or rare.is_to_stop(kept[2], word.execution) then return fail(word, hash, 'failed', may_retry) end
  return finish_partly(word, hash, found, result, may_retry)
end

-- What the job works with is down, which is no fault of its own: no try is spent, and only its hours end it.
local function hold(word, hash, ends)
  local found = call('HMGET', hash, 'description', 'errand_stop', 'errand_backoff', 'errand_first_start')
  local job_type, policy = name_type(found[1] or ''), found[3] and rare.read_backoff(found[3])
  if not job_type or rare.is_to_stop(found[2], word.execution) then return fail(word, hash, 'failed', false) end
  rare.note_down(job_type, word.member, cjson.decode(word.error).message)
  if policy and policy.seconds then
    if not found[4] then call('HSET', hash, 'errand_first_start', word.started) end
    if clock[1] - (tonumber(found[4] or '') or word.started) >= policy.seconds then
      call('HSET', hash, 'retries_left', 0)
      return fail_or_finish(word, hash, ends, false)
    end
  end
  rare.release(word.id, word.execution, word.queue)
  call('HSET', hash, 'status', 'queued', 'errand_error', word.error)
  call('HINCRBY', hash, 'errand_attempts', -1)
  rare.park(word.id, rare.build_hold(word.queue, job_type, rare.find_service(job_type)))
  return 'parked'
end

local record = {
  failed = function(word, hash, found) return fail_or_finish(word, hash, found, true) end,
  permanent = function(word, hash)
    call('HSET', hash, 'retries_left', 0)
    return fail(word, hash, 'failed', false)
  end,
  refused = refuse,
  unknown = pass_by,
  down = hold,
  partial = function(word, hash, found) return fail_or_finish(word, hash, found, true) end,
  stopped = function(word, hash) return fail(word, hash, 'stopped', false) end,
  expired = function(word, hash, found)
    rare.release(word.id, word.execution, word.queue)
    local result = call('HGET', hash, 'errand_partial')
    if result then return finish_with(word, hash, found, result) end
    note_end(word, call('HGET', hash, 'errand_attempts'), 'failed')
    rare.cancel_job(word.id, rare.read_job(word.id), word.error)
    return 'expired'
  end,
  interrupted = function(word) return rare.hand_back(word.member, false, '') end,
}

-- Record the end of an attempt that did not finish its job; return what became of it.
function rare.end_otherwise(word, hash, found)
  local act = record[word.kind] or record[word.kind:match('^%l+')]
  return act(word, hash, found)
end

-- What tells that a job's service is up: it came past it, well or not.
local PASSED = {finished = true, failed = true, permanent = true, partial = true}

function rare.look_at_service(word, hash)
  local kind = word.kind:match('^%l+')
  local job_type = PASSED[kind] and name_type(call('HGET', hash, 'description') or '')
  if job_type and rare.note_up(job_type) then rare.note_taker(word.queue) end
end
