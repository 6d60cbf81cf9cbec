-- A job that ended badly does not expire as long as another one waits for its requeue.
-- rare
-- gives keep
-- include base, job_keys

-- Keep all of a job. One that has not ended is left as it is: it may have a lifetime of its own in its queue (RQ's
-- ttl).
function rare.keep(id)
  local found = call('HMGET', keys.JOB .. id, 'status', 'origin')
  local ENDED_BADLY = keys.ENDED_BADLY
  if not ENDED_BADLY[found[1]] then return end
  for _, key in ipairs({keys.RESULTS .. id, unpack(rare.list_job_keys(id))}) do call('PERSIST', key) end
  if found[2] then call('ZADD', keys.FAILED .. found[2], 'XX', -1, id) end
end
