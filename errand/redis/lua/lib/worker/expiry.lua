-- Jobs that expire: not started by then, or, where the hash says `errand_expires_by` end, not ended. errand:expires has
-- them, also those that have started or ended since, until it is time to look.
-- ARGV  as lib/worker/execution_records.lua
-- rare
-- gives find_expiry, is_over, expire, fit_wait
-- include base, clock, events, jobs, slots, webhook, batch, faults, dependents, job_keys
-- include worker/execution_records, worker/exchange_state, worker/result, worker/quarantine, worker/failure

local UNSTARTED, ENDED = keys.UNSTARTED, keys.ENDED
local LAST_TRY_SECONDS = 10 -- so long before its expiry a job that must end by then begins its last try: time to end
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local counts = {}

local function count(job)
  local name = job.queue .. ':' .. job.type
  if not counts[name] then
    counts[name] = {job.queue, job.type, 0}
    expired[#expired + 1] = counts[name]
  end
  counts[name][3] = counts[name][3] + 1
end

local function describe(found)
  local readable, error = pcall(cjson.decode, found[4] or '')
  local cause = readable and type(error) == 'table' and '; its last error was ' .. tostring(error.type) .. ': '
    .. tostring(error.message) or ''
  local done = found[2] == 'end' and 'ended' or 'started'
  local message = 'it had not ' .. done .. ' by ' .. (found[3] or 'its expiry') .. cause
  return cjson.encode({type = 'Expired', message = message})
end

-- When a job expires, in milliseconds; nothing where it does not.
function rare.find_expiry(id)
  local found = pcall_redis('ZSCORE', keys.EXPIRES, id)
  return type(found) == 'string' and tonumber(found) or nil
end

function rare.is_over(expires_ms)
  return expires_ms <= now_ms
end

-- What is to become of a job whose time is over.
local function judge(job, found)
  if not job or ENDED[job.status] then return 'past' end
  if found[2] ~= 'end' and (job.status == 'started' or (tonumber(found[1] or '') or 0) > 0) then return 'past' end
  return UNSTARTED[job.status] and 'canceled' or 'runs'
end

-- A part of the work is done, and no other try comes for the rest.
local function finish_partly(id, job, result)
  local hash = keys.JOB .. id
  local ttl = tonumber(call('HGET', hash, 'result_ttl') or '') or tonumber(ARGV[5])
  touch(id)
  rare.withdraw(id, job)
  rare.settle_dependents(id, 'finished')
  call('HSET', hash, 'status', 'finished', 'ended_at', now_text)
  call('HDEL', hash, 'errand_error')
  redis.pcall('ZADD', keys.FINISHED .. job.queue, ttl < 0 and '+inf' or math.floor(now) + ttl, id)
  note_in_batch(hash, id, 'finished')
  rare.notify_end(id, 'finished', job.webhook, now_text, result)
  add_result(id, '1', '', 'return_value', result, ARGV[4], ARGV[4], ttl)
  if job.limit then pcall(rare.free_slot, id, job.limit) end
  rare.expire_job(id, ttl)
  if ttl == 0 then call('DEL', keys.RESULTS .. id, unpack(rare.list_job_keys(id))) end
end

local function cancel_expired(id)
  local job = rare.read_job(id)
  local found = job and call('HMGET', keys.JOB .. id, 'errand_attempts', 'errand_expires_by', 'errand_expires_at',
    'errand_error', 'errand_partial')
  local fate = judge(job, found)
  if fate == 'canceled' and found[5] then
    finish_partly(id, job, found[5])
  elseif fate == 'canceled' then
    rare.cancel_job(id, job, describe(found))
    count(job)
  end
  return fate
end

-- Cancel a job whose time is over, as a person would; one that is done in part finishes with that. Returns 'canceled',
-- 'runs' for one that must end by then and is under way, 'past' for one that has started in time, has ended or is gone;
-- or 'broken' and {id, reason} for one that is quarantined, so that it holds up no other.
function rare.expire(id)
  local ok, fate = pcall(cancel_expired, id)
  local broken = not ok and rare.quarantine(id, rare.describe_fault(fate)) or nil
  if broken then fate = 'broken' end
  if fate ~= 'runs' then redis.pcall('ZREM', keys.EXPIRES, id) end
  if fate == 'canceled' then expired_count = expired_count + 1 end
  return fate, broken
end

-- The wait before the next try of a job, shorter where it must end before that: the last try comes a while before.
function rare.fit_wait(id, wait)
  local expires_ms = rare.find_expiry(id)
  if not expires_ms or call('HGET', keys.JOB .. id, 'errand_expires_by') ~= 'end' then return wait end
  local seconds_left = math.floor((expires_ms - now_ms) / 1000) - LAST_TRY_SECONDS
  return seconds_left < 1 and wait or math.min(wait, seconds_left)
end
