-- Queued jobs that are not in their queue's list, in sorted sets by queue and type: errand:rated:<queue>:<type> for
-- those that wait for their type's rate, errand:parked:<queue>:<type>:<codes> for those that wait for a worker that can
-- run them. That is one that has the type, in other code than those that refused the payload: `codes`, '' for none.
-- rare
-- gives has_type, describe_park, list_parked, build_rated, build_park, has_taker, fits_other
-- include base, held_types

local function list(key)
  local members = pcall_redis('SMEMBERS', key)
  return members.err and {} or members
end

-- The set of those that wait for their type's rate.
function rare.build_rated(queue, job_type)
  return {key = keys.RATED_JOBS .. queue .. ':' .. job_type, names = keys.RATED, queue = queue, type = job_type}
end

-- The set of those that wait for a worker.
function rare.build_park(queue, job_type, codes)
  local key = keys.PARKED_JOBS .. queue .. ':' .. job_type .. ':' .. codes
  return {key = key, names = keys.PARKED, queue = queue, type = job_type, codes = codes}
end

-- Each as {key, names: the set that lists the key, queue, type, codes: nil for those that wait for their rate}.
function rare.list_parked()
  local parks = {}
  for _, key in ipairs(list(keys.RATED)) do
    local queue, job_type = key:match('^' .. keys.RATED_JOBS .. '(.*):([^:]*)$')
    if queue then parks[#parks + 1] = rare.build_rated(queue, job_type) end
  end
  for _, key in ipairs(list(keys.PARKED)) do
    local queue, job_type, codes = key:match('^' .. keys.PARKED_JOBS .. '(.*):([^:]*):([^:]*)$')
    local service = codes and codes:match('^~(.*)$')
    if service then parks[#parks + 1] = rare.build_hold(queue, job_type, service)
    elseif queue then parks[#parks + 1] = rare.build_park(queue, job_type, codes) end
  end
  return parks
end

-- Whether a live worker has the type.
function rare.has_type(job_type)
  for _, key in ipairs(list(keys.WORKERS)) do
    if pcall_redis('HEXISTS', keys.TYPES .. key:sub(#keys.WORKER + 1), job_type) == 1 then return true end
  end
  return false
end

-- Whether a live worker of the queue has the type, in other code than `codes`.
function rare.has_taker(queue, job_type, codes)
  for _, key in ipairs(list(keys.WORKERS)) do
    local code = pcall_redis('HGET', keys.TYPES .. key:sub(#keys.WORKER + 1), job_type)
    if type(code) == 'string' and not codes:find(code, 1, true) then
      local served = pcall_redis('HGET', key, 'queues')
      if type(served) == 'string' and (',' .. served .. ','):find(',' .. queue .. ',', 1, true) then return true end
    end
  end
  return false
end

-- Whether there is other code of the type than `codes`, which refused a payload: in a worker, or in an API that posts
-- it, whose worker may be on its way.
function rare.fits_other(queue, job_type, codes)
  if rare.has_taker(queue, job_type, codes) then return true end
  local posted = pcall_redis('ZRANGE', keys.POSTED, call('TIME')[1], '+inf', 'BYSCORE')
  for _, name in ipairs(posted.err and {} or posted) do
    local other, code = name:match('^(.*)=(.*)$')
    if other == job_type and not codes:find(code, 1, true) then return true end
  end
  return false
end

-- Why what is parked there waits, since when, where that is the same for all, and whether a worker is there to take it.
function rare.describe_park(park)
  if park.service then
    local hold = rare.read_hold(park.type, park.service)
    if not hold then return 'it waits for its turn: what it works with is up again', nil, true end
    return hold.reason, hold.since
  end
  if park.codes == '' then
    if rare.has_taker(park.queue, park.type, '') then return 'it waits for a worker that knows this type', nil, true end
    return 'no worker knows this type'
  end
  if rare.fits_other(park.queue, park.type, park.codes) then
    return 'it waits for a worker with other code of this type'
  end
  return 'its payload does not fit the code of any live worker'
end
