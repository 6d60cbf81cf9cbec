-- One turn of a runner: records what its jobs have to say and takes new ones, with all of RQ's start records.
-- ARGV  7 how many words follow, each of 10: kind, job, execution, queue, ended as text, started and ended in seconds,
--       value, error (JSON), the least delay of a retry in seconds; then how many jobs to take at most, whether this call
--       was sent before (2: and shall take nothing new), whether the queues are served in turn, which comes first, how many, their names; then an
--       execution id for each job that may be taken
-- Returns what became of each word, the jobs taken, those set aside with the reason, and the dependents that RQ's own
-- code has to let through, by its limits.

local at = 6
local function read()
  at = at + 1
  return ARGV[at]
end

local function retry(word, hash)
  local found = call('HMGET', hash, 'retries_left', 'retry_intervals', 'enqueue_at_front_on_retry')
  local left = tonumber(found[1] or '') or 0
  if left <= 0 then return false end
  local readable, waits = pcall(cjson.decode, found[2] or '[]')
  local wait = readable and type(waits) == 'table' and #waits > 0 and waits[math.max(#waits - left, 0) + 1] or 0
  wait = math.max(tonumber(wait) or 0, tonumber(word.delay))
  call('HSET', hash, 'retries_left', left - 1, 'errand_error', word.error)
  if wait == 0 then
    queue_job(hash, word.id, word.queue, found[3] == '1')
    return 'queued'
  end
  call('HSET', hash, 'status', 'scheduled')
  call('SADD', 'rq:queues', 'rq:queue:' .. word.queue)
  -- RQ keeps whole seconds; rounded up, for no job may run early.
  call('ZADD', 'rq:scheduled:' .. word.queue, math.ceil(clock[1] + clock[2] / 1000000 + wait), word.id)
  return 'scheduled'
end

local function fail(word, hash, status, may_retry)
  release(word.id, word.execution, word.queue)
  counted.failed_job_count = counted.failed_job_count + 1
  call('HSET', hash, 'ended_at', word.ended_text, 'last_heartbeat', word.ended_text)
  local again = may_retry and retry(word, hash)
  if again then return again end
  fail_for_good(word.id, word.execution, word.queue, status, word.error, word.value, word.started, word.ended)
  return call('HEXISTS', hash, 'rate_limit_key') == 1 and 'limited' or status
end

local record = {
  progress = function(word, hash)
    call('HSET', hash, 'errand_progress', word.value)
    return 'progress'
  end,
  finished = function(word, hash)
    local found = call('HMGET', hash, 'result_ttl', 'rate_limit_key', 'repeats_left')
    if (tonumber(found[3] or '') or 0) > 0 then return 'odd' end -- RQ's own code repeats it
    local ttl = tonumber(found[1] or '') or tonumber(ARGV[5])
    release(word.id, word.execution, word.queue)
    counted.successful_job_count = counted.successful_job_count + 1
    settle_dependents(word.id, 'finished', 0)
    note_in_batch(hash, word.id, 'finished')
    if ttl == 0 then
      call('DEL', 'rq:results:' .. word.id, unpack(list_job_keys(word.id)))
    else
      call('HSET', hash, 'status', 'finished', 'ended_at', word.ended_text, 'last_heartbeat', word.ended_text)
      add_result(word.id, '1', word.execution, 'return_value', word.value, word.started, word.ended, ttl)
      call('ZADD', 'rq:finished:' .. word.queue, ttl < 0 and '+inf' or math.floor(now) + ttl, word.id)
      expire_job(word.id, ttl)
    end
    return found[2] and found[2] ~= '' and 'limited' or 'finished'
  end,
  failed = function(word, hash) return fail(word, hash, 'failed', true) end,
  permanent = function(word, hash)
    call('HSET', hash, 'retries_left', 0)
    return fail(word, hash, 'failed', false)
  end,
  stopped = function(word, hash) return fail(word, hash, 'stopped', false) end,
  interrupted = function(word) return hand_back(word.id .. ':' .. word.execution, false, '') end,
}

local aside = {}

local function hear(word)
  local hash = 'rq:job:' .. word.id
  if not call('ZSCORE', LEASES, word.id .. ':' .. word.execution) then return 'late' end
  if not is_hash(hash) then
    if word.kind ~= 'progress' then release(word.id, word.execution, word.queue) end
    return 'deleted'
  end
  -- A person may have canceled it meanwhile, with RQ's own tools.
  if word.kind ~= 'progress' and call('HGET', hash, 'status') ~= 'started' then
    release(word.id, word.execution, word.queue)
    return 'canceled'
  end
  local answer = record[word.kind](word, hash)
  if word.kind ~= 'progress' and answer ~= 'odd' then -- RQ's own code counts an odd one
    counted.total_working_time = counted.total_working_time + word.ended - word.started
  end
  return answer
end

local FIELDS = {'data', 'status', 'origin', 'created_at', 'timeout', 'result_ttl', 'failure_ttl', 'retries_left',
  'description', 'errand_losses', 'success_callback_name', 'failure_callback_name', 'stopped_callback_name'}
local NOT_QUEUED = {created = true, finished = true, failed = true, started = true, deferred = true, scheduled = true,
  canceled = true, stopped = true, ready_to_enqueue = true, rate_limited = true}

local function find_fault(found)
  if not found[1] then return 'there is no data in it' end
  if found[2] and found[2] ~= 'queued' then return 'there is no status ' .. found[2] end
  if found[4] and not found[4]:match('^%d%d%d%d%-%d%d%-%d%d') then return 'created_at is no time: ' .. found[4] end
  for _, i in ipairs({5, 6, 7, 8, 10}) do
    if found[i] and found[i] ~= '' and not found[i]:match('^-?%d+%.?%d*$') then
      return FIELDS[i] .. ' is no number: ' .. found[i]
    end
  end
  return false
end

-- Execution and registry are kept longer than the job may run: an `rq info` or a plain worker beside us fails whatever
-- has passed its score there. Our own judgement is the lease.
local MARGIN_SECONDS = 3600

local function start(id, execution, queue, found, place)
  local hash, member = 'rq:job:' .. id, id .. ':' .. execution
  local timeout = tonumber(found[5] or '') or 180
  local ttl = math.ceil(math.max(timeout, 0) + MARGIN_SECONDS + (timeout < 0 and 7 * 86400 or 0))
  local key = 'rq:execution:' .. member
  call('PERSIST', hash)
  call('HSET', hash, 'status', 'started', 'started_at', now_text, 'last_heartbeat', now_text, 'worker_name', worker)
  if found[3] ~= queue then call('HSET', hash, 'origin', queue) end
  call('HINCRBY', hash, 'errand_attempts', 1)
  call('HDEL', hash, 'errand_progress', 'errand_error')
  call('HSET', key, 'id', execution, 'job_id', id, 'created_at', string.format('%.6f', now + place / 1000000),
    'last_heartbeat', ARGV[4], 'worker_name', worker)
  call('EXPIRE', key, ttl)
  call('ZADD', 'rq:executions:' .. id, now + ttl + 60, execution)
  call('EXPIRE', 'rq:executions:' .. id, ttl + 60)
  call('ZADD', 'rq:wip:' .. queue, math.floor(now) + ttl, member)
  call('SADD', name_held(worker), member)
  call('ZADD', LEASES, lease_ends_ms, member)
end

local function describe(id, execution, queue, found)
  local callback = ''
  for i = 11, 13 do if found[i] and found[i] ~= '' then callback = found[i] end end
  return {id, execution, queue, found[1], found[5] or '180', found[6] or '', found[7] or '', found[9] or '',
    found[10] and found[10] ~= '' and found[10] or '0', callback}
end

local function take_one(queue, execution, place)
  while true do
    local id = call('LPOP', 'rq:queue:' .. queue)
    if not id then return false end
    local hash = 'rq:job:' .. id
    local kind = call('TYPE', hash).ok
    if kind ~= 'none' and not id:match('^[%w_-]+$') then -- RQ's own rule; it makes keys of it
      aside[#aside + 1] = set_aside(id, 'its id has other characters than letters, digits, - and _')
    elseif kind == 'hash' then
      local found = call('HMGET', hash, unpack(FIELDS))
      -- An id may be in the list twice, pushed by a client whose reply was lost: only a queued job is run.
      if not NOT_QUEUED[found[2]] then
        local fault = find_fault(found)
        if not fault then
          local ok, broken = pcall(start, id, execution, queue, found, place)
          if ok then return describe(id, execution, queue, found) end
          pcall(release, id, execution, queue)
          fault = tell(broken)
        end
        aside[#aside + 1] = set_aside(id, fault)
      end
    elseif kind ~= 'none' then
      aside[#aside + 1] = set_aside(id, 'it is a ' .. kind .. ', no hash')
    end
  end
end

local answers, taken = {}, {}
for i = 1, tonumber(read()) do
  local word = {kind = read(), id = read(), execution = read(), queue = read(), ended_text = read(), started = read(),
    ended = read(), value = read(), error = read(), delay = read()}
  local ok, answer = pcall(hear, word)
  if not ok then -- a key of another type, say: one broken job must not hold up the others
    pcall(release, word.id, word.execution, word.queue)
    aside[#aside + 1] = set_aside(word.id, 'its end could not be recorded: ' .. tell(answer))
  end
  answers[i] = ok and answer or 'broken'
end

local want, sent_before = tonumber(read()), read()
local in_turn, first, count = read() == '1', tonumber(read()), tonumber(read())
local queues = {}
for i = 1, count do queues[i] = read() end

if sent_before ~= '0' and want > 0 then -- its reply was lost: what it took then is told again
  local mine = {}
  for i = at + 1, at + want do mine[ARGV[i]] = true end
  for _, member in ipairs(call('SMEMBERS', name_held(worker))) do
    local id, execution = split(member)
    if mine[execution] then
      local found = is_hash('rq:job:' .. id) and call('HMGET', 'rq:job:' .. id, unpack(FIELDS))
      if found and found[1] and found[3] then
        taken[#taken + 1] = describe(id, execution, found[3], found)
      else -- somebody deleted it meanwhile
        release(id, execution, '')
      end
    end
  end
  if #taken > 0 or sent_before == '2' then want = 0 end
end

if want > 0 and call('EXISTS', 'rq:suspended') == 1 then want = 0 end
local dry, turn = 0, first
while #taken < want and dry < count do
  local job = take_one(queues[turn], ARGV[at + #taken + 1], #taken)
  if job then
    taken[#taken + 1], dry = job, 0
  else
    dry = dry + 1
  end
  if in_turn or not job then turn = turn % count + 1 end
end

if call('EXISTS', worker_key) == 1 then
  if #taken > 0 then call('HSET', worker_key, 'state', 'busy')
  elseif #answers > 0 and call('EXISTS', name_held(worker)) == 0 then call('HSET', worker_key, 'state', 'idle') end
end
close()
return {answers, taken, aside, rate_limited}
