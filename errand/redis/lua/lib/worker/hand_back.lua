-- Handing back what is held and will not end.
-- rare
-- gives hand_back
-- include base, clock, events, jobs, dependents, worker/execution_records, worker/end_lease, worker/quarantine
-- include worker/failure, faults
-- include worker/types, observe/tally, observe/attempts

local LOST = '{"type": "Lost", "message": "the process that ran it died"}'

local function give_back(id, execution, is_loss, trace)
  local hash = keys.JOB .. id
  if not rare.is_hash(hash) then
    rare.release(id, execution)
    return 'deleted'
  end
  local found = call('HMGET', hash, 'origin', 'status', 'errand_stop', 'rate_limit_key', 'errand_backoff',
    'errand_attempts', 'description')
  local record = pcall_redis('HMGET', keys.EXECUTION .. id .. ':' .. execution, 'created_at', 'worker_name')
  local start = not record.err and record[1] or nil
  if found[5] and start then call('HSETNX', hash, 'errand_first_start', start) end
  rare.release(id, execution, found[1] or nil)
  if not found[1] then error('it names no queue') end
  if found[2] ~= 'started' then
    rare.free_late_slot(id, found[2], found[4])
    return found[2] or 'nothing'
  end
  local function note(outcome, fate, error, left)
    local owner = not record.err and record[2] or worker
    pcall(rare.note_attempt, id, found[6], outcome, owner, start, ARGV[4], error, '', left or '')
    tally((name_type(found[7] or '') or 'other') .. '|||' .. fate, 1)
  end

  if rare.is_to_stop(found[3], execution) then
    note('stopped', 'stopped', rare.STOPPED)
    call('HSET', hash, 'ended_at', now_text, 'last_heartbeat', now_text)
    return rare.fail_for_good(id, execution, found[1], 'stopped', rare.STOPPED, '', ARGV[4], ARGV[4])
  elseif not is_loss then
    note('interrupted', 'interrupted')
    call('HINCRBY', hash, 'errand_interruptions', 1)
  elseif call('HINCRBY', hash, 'errand_losses', 1) >= keys.LOST_LIMIT then
    local why = {type = 'Lost', message = 'the process that ran it died ' .. keys.LOST_LIMIT .. ' times'}
    note('lost', 'dead', cjson.encode(why), trace)
    call('HSET', hash, 'ended_at', now_text, 'last_heartbeat', now_text, 'errand_frame', '')
    rare.fail_for_good(id, execution, found[1], 'failed', cjson.encode(why), trace, ARGV[4], ARGV[4])
    return 'failed'
  else
    note('lost', 'lost', LOST)
  end
  rare.queue_job(id, found[1], true)
  return 'queued'
end

-- Hand back a job whose execution ended without a report of its own; a damaged one must not hold up the others. Returns
-- what became of it.
function rare.hand_back(member, is_loss, trace)
  local lease = redis.pcall('ZSCORE', keys.LEASES, member)
  if lease and lease.err then lease = call('EXISTS', keys.EXECUTION .. member) == 1 end
  if not lease then return 'late' end
  local id, execution = split(member)
  touch(id)
  local ok, fate = pcall(give_back, id, execution, is_loss, trace)
  if ok then return fate end
  rare.quarantine(id, rare.describe_fault(fate))
  return 'quarantined'
end
