-- Ends without success.
-- rare
-- gives is_to_stop, fail_for_good
-- include base, clock, jobs, keep_dead_letters, slots, webhook, batch, dependents, worker/execution_records
-- include worker/result, job_keys

-- Whether somebody asked for the stop of this very execution, by the job's `errand_stop`: whatever ends it now, it was
-- stopped, and does not run again.
function rare.is_to_stop(stop, execution)
  return stop and stop:find(execution, 1, true) ~= nil
end

-- Record an end without success: `status` is failed or stopped, `trace` as RQ keeps it (zlib, base64). Returns the
-- status recorded.
function rare.fail_for_good(id, execution, queue, status, error, trace, started, ended)
  local hash = keys.JOB .. id
  local found = call('HMGET', hash, 'failure_ttl', 'errand_stop', 'rate_limit_key', 'errand_webhook')
  if rare.is_to_stop(found[2], execution) then status, error = 'stopped', rare.STOPPED end
  local is_awaited = rare.settle_dependents(id, status)
  local own_ttl = tonumber(found[1] or '')
  if is_awaited then own_ttl = -1 end
  local ttl = own_ttl or failure_seconds
  call('HSET', hash, 'status', status, 'errand_error', error)
  redis.pcall('ZADD', keys.FAILED .. queue, ttl < 0 and ttl or math.floor(now) + ttl, id)
  add_result(id, '2', execution, 'exc_string', trace, started, ended, own_ttl) -- RQ keeps it for ever then
  note_in_batch(hash, id, status)
  rare.notify_end(id, status, found[4])
  if found[3] and found[3] ~= '' then pcall(rare.free_slot, id, found[3]) end
  if is_awaited then rare.keep(id) end
  rare.expire_job(id, ttl)
  if ttl == 0 then call('DEL', unpack(rare.list_job_keys(id))) end
  return status
end
