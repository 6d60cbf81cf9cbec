-- What becomes of the jobs whose executions have something to say: their ends, and their reports of progress.
-- Most jobs finish, and nobody waits for them: what these have in common is written in one command for all of them.
-- ARGV  as lib/worker/head.lua
-- gives aside, hear_all, count_ends_of_worker
-- include base, clock, events, jobs, slots, webhook, batch, dependents, faults, job_keys, observe/tally, observe/attempts
-- include parked, held, worker/head, worker/release, worker/aside, worker/failure, worker/handback
-- include backoff, worker/types, worker/holds, worker/park, worker/retry

aside = {} -- jobs set aside: {id, reason}
local gone = {}
local counted = {successful_job_count = 0, failed_job_count = 0, total_working_time = 0}
local ends, waited_us, ran_seconds = {}, {}, {} -- by how it ended and by tag, by tag
local finished = {members = {}, executions = {}, queues = {}}

-- Write down how the attempt of a word has ended, by its number.
local function note_end(word, number, outcome)
  local error = outcome == 'stopped' and STOPPED or word.error
  pcall(note_attempt, word.id, number, outcome, worker, word.started, word.ended, error, word.frame, word.value)
end

local function fail(word, hash, status, may_retry)
  local number = call('HGET', hash, 'errand_attempts')
  release(word.id, word.execution, word.queue)
  counted.failed_job_count = counted.failed_job_count + 1
  call('HSET', hash, 'ended_at', word.ended_text, 'last_heartbeat', word.ended_text, 'errand_frame', word.frame)
  local again = may_retry and retry(word, hash)
  local fate = again or fail_for_good(word.id, word.execution, word.queue, status, word.error, word.value, word.started,
    word.ended)
  note_end(word, number, again and 'failed' or fate)
  return fate
end

-- Nobody waits for a job and it waited for nobody, as far as Redis has the keys.
local function stand_alone(words)
  local links = {}
  for _, word in ipairs(words) do
    if word.kind == 'finished' then
      links[#links + 1] = keys.JOB .. word.id .. keys.DEPENDENTS
      links[#links + 1] = keys.JOB_LINKS .. word.id .. keys.DEPENDENCIES
    end
  end
  return #links == 0 or call('EXISTS', unpack(links)) == 0
end

local function let_go_later(word, score)
  finished.members[#finished.members + 1] = word.member
  finished.executions[#finished.executions + 1] = keys.EXECUTION .. word.member
  local queue = finished.queues[word.queue] or {members = {}, scores = {}}
  finished.queues[word.queue] = queue
  queue.members[#queue.members + 1] = word.member
  queue.scores[#queue.scores + 1] = score
  queue.scores[#queue.scores + 1] = word.id
end

-- Our leases go first, as in `release`.
local function let_go_now()
  if #finished.members == 0 then return end
  pcall_redis('ZREM', keys.LEASES, unpack(finished.members))
  call('DEL', unpack(finished.executions))
  pcall_redis('SREM', name_held(worker), unpack(finished.members))
  for name, queue in pairs(finished.queues) do
    pcall_redis('ZREM', keys.WIP .. name, unpack(queue.members))
    pcall_redis('ZADD', keys.FINISHED .. name, unpack(queue.scores))
  end
end

local function finish(word, hash, found)
  local ttl = tonumber(found[2] or '') or tonumber(ARGV[5])
  if (tonumber(found[4] or '') or 0) > 0 then return 'odd' end -- RQ's own code repeats it
  counted.successful_job_count = counted.successful_job_count + 1
  if ttl == 0 or not word.alone then
    settle_dependents(word.id, 'finished')
  end
  if found[5] then note_in_batch(hash, word.id, 'finished') end
  if found[6] or WEBHOOK_URL then tell_end(word.id, 'finished', found[6], word.ended_text, word.value) end
  if ttl == 0 then
    release(word.id, word.execution, word.queue)
    call('DEL', keys.RESULTS .. word.id, unpack(list_job_keys(word.id)))
  else
    call('HSET', hash, 'status', 'finished', 'ended_at', word.ended_text, 'last_heartbeat', word.ended_text)
    add_result(word.id, '1', word.execution, 'return_value', word.value, word.started, word.ended, ttl)
    pcall_redis('ZREM', keys.EXECUTIONS .. word.id, word.execution)
    let_go_later(word, ttl < 0 and '+inf' or math.floor(now) + ttl)
    if word.alone then
      if ttl > 0 then call('EXPIRE', hash, ttl) end
    else
      expire_job(word.id, ttl)
    end
  end
  if found[3] and found[3] ~= '' then pcall(free_slot, word.id, found[3]) end
  return 'finished'
end

-- Park a job that this worker can't run for one that can, as if it had not been taken.
local function give_away(word, hash, job_type, codes)
  release(word.id, word.execution, word.queue)
  call('HSET', hash, 'status', 'queued', 'errand_refused', codes, 'errand_error', word.error)
  call('HINCRBY', hash, 'errand_attempts', -1)
  park(word.id, build_park(word.queue, job_type, codes))
  return 'parked'
end

-- The payload does not fit this worker's code of the type: another's it may fit, while there is one.
local function refuse(word, hash)
  local found = call('HMGET', hash, 'description', 'errand_refused', 'errand_stop')
  local job_type = name_type(found[1] or '')
  local code = job_type and find_code(job_type)
  if code and not is_to_stop(found[3], word.execution) then
    local codes = {code}
    for other in (found[2] or ''):gmatch('%w+') do
      if other ~= code then codes[#codes + 1] = other end
    end
    table.sort(codes)
    codes = table.concat(codes, '.')
    if fits_other(word.queue, job_type, codes) then return give_away(word, hash, job_type, codes) end
  end
  call('HSET', hash, 'retries_left', 0)
  return fail(word, hash, 'failed', false)
end

-- The payload names a function of a type that this worker has not, which the description did not tell.
local function pass_by(word, hash)
  local job_type = word.kind:match(':(.*)$')
  if not find_code(job_type) and not is_to_stop(call('HGET', hash, 'errand_stop'), word.execution) then
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
  release(word.id, word.execution, word.queue)
  local again = may_retry and retry(word, hash)
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
  if not result or is_to_stop(kept[2], word.execution) then return fail(word, hash, 'failed', may_retry) end
  return finish_partly(word, hash, found, result, may_retry)
end

-- What the job works with is down, which is no fault of its own: no try is spent, and only its hours end it.
local function hold(word, hash, ends)
  local found = call('HMGET', hash, 'description', 'errand_stop', 'errand_backoff', 'errand_first_start')
  local job_type, policy = name_type(found[1] or ''), found[3] and read_backoff(found[3])
  if not job_type or is_to_stop(found[2], word.execution) then return fail(word, hash, 'failed', false) end
  note_down(job_type, word.member, cjson.decode(word.error).message)
  if policy and policy.seconds then
    if not found[4] then call('HSET', hash, 'errand_first_start', word.started) end
    if clock[1] - (tonumber(found[4] or '') or word.started) >= policy.seconds then
      call('HSET', hash, 'retries_left', 0)
      return fail_or_finish(word, hash, ends, false)
    end
  end
  release(word.id, word.execution, word.queue)
  call('HSET', hash, 'status', 'queued', 'errand_error', word.error)
  call('HINCRBY', hash, 'errand_attempts', -1)
  park(word.id, build_hold(word.queue, job_type, find_service(job_type)))
  return 'parked'
end

local record = {
  progress = function(word, hash)
    call('HSET', hash, 'errand_progress', word.value)
    return 'progress'
  end,
  finished = finish,
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
    release(word.id, word.execution, word.queue)
    local result = call('HGET', hash, 'errand_partial')
    if result then return finish_with(word, hash, found, result) end
    note_end(word, call('HGET', hash, 'errand_attempts'), 'failed')
    cancel_job(word.id, read_job(word.id), word.error)
    return 'expired'
  end,
  interrupted = function(word) return hand_back(word.member, false, '') end,
}

-- What an end counts as; of one that is handed back that is counted there.
local FATES = {finished = 'finished', failed = 'failed', stopped = 'stopped', queued = 'retried', scheduled = 'retried'}

-- Count the end of an attempt, and how long it waited and ran: in sums by tag, to be told once a call.
local function count_end(word, answer, seconds)
  local fate = word.kind ~= 'interrupted' and FATES[answer]
  if not fate then return end
  local tags, tag = ends[fate], word.tag
  if not tags then
    tags = {}
    ends[fate] = tags
  end
  tags[tag] = (tags[tag] or 0) + 1
  waited_us[tag] = (waited_us[tag] or 0) + word.wait_us
  ran_seconds[tag] = (ran_seconds[tag] or 0) + seconds
end

-- What tells that a job's service is up: it came past it, well or not.
local PASSED = {finished = true, failed = true, permanent = true, partial = true}

local function look_at_service(word, hash)
  local kind = word.kind:match('^%l+')
  local job_type = PASSED[kind] and name_type(call('HGET', hash, 'description') or '')
  if job_type and note_up(job_type) then note_taker(word.queue) end
end

local ENDS = {'status', 'result_ttl', 'rate_limit_key', 'repeats_left', 'errand_batch', 'errand_webhook'}

local function hear(word)
  local hash, is_end = keys.JOB .. word.id, word.kind ~= 'progress'
  if not word.lease or gone[word.member] then return 'late' end
  gone[word.member] = is_end or nil
  touch(word.id)
  local found = pcall_redis('HMGET', hash, unpack(ENDS))
  if found.err or (not found[1] and not is_hash(hash)) then
    if is_end then release(word.id, word.execution, word.queue) end
    return 'deleted'
  end
  -- A person may have canceled it meanwhile, with RQ's own tools.
  if is_end and found[1] ~= 'started' then
    release(word.id, word.execution, word.queue)
    free_late_slot(word.id, found[1], found[3])
    return 'canceled'
  end
  if are_held and is_end then look_at_service(word, hash) end
  local act = record[word.kind] or record[word.kind:match('^%l+')]
  local answer = act(word, hash, found)
  if is_end and answer ~= 'odd' then -- RQ's own code counts an odd one
    local seconds = word.ended - word.started
    count_end(word, answer, seconds)
    counted.total_working_time = counted.total_working_time + seconds
  end
  return answer
end

-- Record words; return an answer for each.
function hear_all(words)
  local answers, members = {}, {}
  for i, word in ipairs(words) do members[i] = word.member end
  local leases = #words > 0 and redis.pcall('ZMSCORE', keys.LEASES, unpack(members))
  if leases and leases.err then
    -- paste worker/held_without
    leases = find_held(words)
  end
  local alone = stand_alone(words)
  for i, word in ipairs(words) do
    word.lease, word.alone = leases[i], alone
    local ok, answer = pcall(hear, word)
    if not ok then -- a key of another type, say: one broken job must not hold up the others
      pcall(release, word.id, word.execution, word.queue)
      aside[#aside + 1] = set_aside(word.id, 'its end could not be recorded: ' .. describe_fault(answer))
    end
    answers[i] = ok and answer or 'broken'
  end
  let_go_now()
  return answers
end

-- Keep RQ's own counts of the worker, and ours.
function count_ends_of_worker()
  for fate, tags in pairs(ends) do
    for tag, many in pairs(tags) do tally(tag .. '|' .. fate, many) end
  end
  for tag, us in pairs(waited_us) do
    local type = tag:match('^[^|]*')
    tally(type .. '|w', us)
    tally(type .. '|r', math.floor(ran_seconds[tag] * 1000000))
  end
  if counted.successful_job_count + counted.failed_job_count > 0 and call('EXISTS', worker_key) == 1 then
    for _, name in ipairs({'successful_job_count', 'failed_job_count'}) do
      if counted[name] > 0 then redis.pcall('HINCRBY', worker_key, name, counted[name]) end
    end
    redis.pcall('HINCRBYFLOAT', worker_key, 'total_working_time', counted.total_working_time)
  end
end
