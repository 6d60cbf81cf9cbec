-- Trying a job again.
-- rare
-- gives retry
-- include base, clock, events, jobs, slots, backoff, worker/execution_records, worker/failure, worker/expiry

-- The next wait of a job that carries a policy, nothing where its hours are over. The last try comes as they end.
local function find_wait(report, hash, policy, left, first_start)
  local wait = rare.draw_wait(policy, left, report.member)
  if policy.seconds then
    if not first_start then call('HSET', hash, 'errand_first_start', report.started) end
    local seconds_left = (tonumber(first_start or '') or report.started) + policy.seconds - clock[1]
    if seconds_left < 1 then return nil end
    wait = math.min(wait, math.floor(seconds_left))
  end
  return wait
end

-- Let a job whose attempt has failed wait for its next try; return its status then, false where none is left.
function rare.retry(report, hash)
  local found = call('HMGET', hash, 'retries_left', 'retry_intervals', 'enqueue_at_front_on_retry', 'errand_stop',
    'rate_limit_key', 'errand_backoff', 'errand_first_start')
  local left = tonumber(found[1] or '') or 0
  if left <= 0 or rare.is_to_stop(found[4], report.execution) then return false end
  local policy, wait = found[6] and rare.read_backoff(found[6]), nil
  if policy then
    wait = find_wait(report, hash, policy, left, found[7])
    if not wait then
      call('HSET', hash, 'retries_left', 0)
      return false
    end
  else
    local waits = rare.read_list(found[2])
    wait = waits and #waits > 0 and waits[math.max(#waits - left, 0) + 1] or 0
  end
  wait = math.max(rare.fit_wait(report.id, tonumber(wait) or 0), tonumber(report.delay))
  call('HSET', hash, 'retries_left', left - 1, 'errand_error', report.error)
  local retrying = keys.RETRYING_JOBS .. report.queue
  redis.pcall('ZADD', retrying, math.floor(clock[1] * 1000 + clock[2] / 1000), report.id)
  redis.pcall('SADD', keys.RETRYING, retrying)
  redis.pcall('ZADD', keys.INDEXES, 0, retrying) -- the sweep takes out what is gone
  if wait == 0 then
    rare.queue_job(report.id, report.queue, found[3] == '1')
    return 'queued'
  end
  call('HSET', hash, 'status', 'scheduled')
  redis.pcall('SADD', keys.QUEUES, keys.QUEUE .. report.queue)
  -- RQ keeps whole seconds; rounded up, since no job may run early.
  local due = math.ceil(clock[1] + clock[2] / 1000000 + wait)
  if type(redis.pcall('ZADD', keys.SCHEDULED .. report.queue, due, report.id)) == 'table' then
    call('HSET', hash, 'errand_due', due) -- should somebody put it there again
  end
  -- When it is due it asks for a slot again.
  if found[5] and found[5] ~= '' then pcall(rare.free_slot, report.id, found[5]) end
  return 'scheduled'
end
