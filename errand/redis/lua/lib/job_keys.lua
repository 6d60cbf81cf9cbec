-- What a job consists of.
-- gives list_job_keys, expire_job
-- include base

-- The keys that are a job's own and live as long as it, but for its results.
function list_job_keys(id)
  return {keys.JOB .. id, keys.JOB .. id .. keys.DEPENDENTS, keys.JOB_LINKS .. id .. keys.DEPENDENCIES, keys.CHILDREN .. id}
end

function expire_job(id, ttl)
  if ttl > 0 then
    for _, key in ipairs(list_job_keys(id)) do call('EXPIRE', key, ttl) end
  end
end
