-- Types that are held because what their jobs work with is down, a mail server for example. `service` is a hash of its
-- URL and credentials, so that a worker with others is not held; the jobs that wait until it is up are parked under it.
-- rare
-- gives build_hold, read_hold
-- include base

-- The set of a queue's jobs that wait until a service is up again.
function rare.build_hold(queue, job_type, service)
  local key = keys.PARKED_JOBS .. queue .. ':' .. job_type .. ':~' .. service
  return {key = key, names = keys.PARKED, queue = queue, type = job_type, codes = '~' .. service, service = service}
end

-- Since when and why a type is held, nothing where it is not.
function rare.read_hold(job_type, service)
  local found = pcall_redis('HMGET', keys.HELD_TYPE .. job_type .. ':' .. service, 'since', 'reason', 'wait_seconds',
    'probe_at_ms', 'probing')
  if found.err or not found[1] then return nil end
  return {since = found[1], reason = found[2] or '', wait_seconds = tonumber(found[3] or '') or 1,
    probe_at_ms = tonumber(found[4] or '') or 0, probing = found[5]}
end
