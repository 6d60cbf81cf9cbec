-- What a job consists of.
-- rare
-- gives list_job_keys, expire_job
-- include base

-- The keys that are a job's own and live as long as it, but for its results.
function rare.list_job_keys(id)
  local hash = keys.JOB .. id
  return {hash, hash .. keys.DEPENDENTS, keys.JOB_LINKS .. id .. keys.DEPENDENCIES, keys.CHILDREN .. id}
end

function rare.expire_job(id, ttl)
  if ttl > 0 then
    for _, key in ipairs(rare.list_job_keys(id)) do call('EXPIRE', key, ttl) end
  end
end
