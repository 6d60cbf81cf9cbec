-- Quarantine for a damaged job.
-- rare
-- gives quarantine
-- include base, clock, events, jobs, slots, webhook, batch

-- Let a damaged job stay where it is: failed, with the reason. Returns {id, reason}.
function rare.quarantine(id, reason)
  local hash = keys.JOB .. id
  reason = "its record can't be read: " .. reason
  touch(id)
  if rare.is_hash(hash) then
    call('HSET', hash, 'status', 'failed', 'errand_error', cjson.encode({type = 'DamagedJob', message = reason}))
    call('EXPIRE', hash, failure_seconds)
    local queue = call('HGET', hash, 'origin')
    if queue then pcall_redis('ZADD', keys.FAILED .. queue, math.floor(now) + failure_seconds, id) end
    note_in_batch(hash, id, 'failed')
    rare.notify_end(id, 'failed', call('HGET', hash, 'errand_webhook'), now_text)
    local limit = call('HGET', hash, 'rate_limit_key')
    if limit and limit ~= '' then pcall(rare.free_slot, id, limit) end
  end
  return {id, reason}
end
