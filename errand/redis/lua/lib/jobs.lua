-- A job's record, as far as scripts ask for it.
-- rare
-- gives is_hash, read_job, read_status, read_list, queue_job
-- include base, clock, events, push

function rare.is_hash(key)
  return call('TYPE', key).ok == 'hash'
end

-- What scripts that end jobs ask of one; nothing for one whose record is gone or no hash.
function rare.read_job(id)
  local found = pcall_redis('HMGET', keys.JOB .. id, 'status', 'origin', 'errand_on_failure',
    'allow_dependency_failures', 'rate_limit_key', 'enqueue_at_front', 'failure_ttl', 'rate_limit_concurrency',
    'description', 'errand_webhook', 'errand_parked', 'errand_awaited')
  if found.err or not found[1] or not found[2] then return nil end
  return {status = found[1], queue = found[2], on_failure = found[3] or 'cancel', allows_failure = found[4] == '1',
    limit = found[5] and found[5] ~= '' and found[5] or nil, front = found[6] == '1',
    ttl = tonumber(found[7] or '') or failure_seconds, concurrency = found[8] or '1', type = found[9] or '',
    webhook = found[10], parked = found[11], awaited = found[12]}
end

function rare.read_status(id)
  local status = pcall_redis('HGET', keys.JOB .. id, 'status')
  return type(status) == 'string' and status or nil
end

-- A list that is stored as JSON, nil where it can't be read.
function rare.read_list(stored)
  local readable, list = pcall(cjson.decode, stored or '[]')
  return readable and type(list) == 'table' and list or nil
end

-- Queue a job. Where its list is of a wrong type, the job waits on the schedule until it is not.
function rare.queue_job(id, queue, at_front)
  touch(id)
  call('HSET', keys.JOB .. id, 'status', 'queued', 'enqueued_at', now_text)
  if not pcall(push_job, queue, id, at_front) then
    -- paste store/put_off
    put_off(id, queue, 0)
  end
end
