-- The ids of jobs by status, as RQ's own keys hold them.
-- gives list_registries, count_in, read_ids
-- include base, parked

local MANY = 100 -- concurrency keys: more are not looked through, which takes the server a command each
local REGISTRIES = {queued = keys.QUEUE, started = keys.WIP, finished = keys.FINISHED, failed = keys.FAILED,
  stopped = keys.FAILED, canceled = keys.CANCELED, deferred = keys.DEFERRED, scheduled = keys.SCHEDULED,
  ready_to_enqueue = keys.READY}

local function add_limits(registries)
  for _, key in ipairs(call('SMEMBERS', keys.LIMITS)) do
    registries[#registries + 1] = {key = keys.LIMIT .. key .. keys.WAITING, status = 'rate_limited'}
  end
end

local function add_parked(registries, queue)
  for _, park in ipairs(rare.list_parked()) do
    if not queue or park.queue == queue then registries[#registries + 1] = {key = park.key, status = 'queued'} end
  end
end

-- The keys of some statuses and queues, each as {key, status, is_list}; `queue` is the only one where one is asked for.
-- Nothing where a status has none or too many.
function list_registries(statuses, queues, queue)
  local registries = {}
  for _, status in ipairs(statuses) do
    if status == 'rate_limited' then
      if call('SCARD', keys.LIMITS) > MANY then return nil end
      add_limits(registries)
    elseif not REGISTRIES[status] then
      return nil
    else
      for _, name in ipairs(queues) do
        registries[#registries + 1] = {key = REGISTRIES[status] .. name, status = status, is_list = status == 'queued'}
      end
      if status == 'queued' then add_parked(registries, queue) end
    end
  end
  return registries
end

-- How many there are in all; one that is in several counts several times.
function count_in(registries)
  local total = 0
  for _, registry in ipairs(registries) do
    local size = pcall_redis(registry.is_list and 'LLEN' or 'ZCARD', registry.key)
    total = total + (type(size) == 'number' and size or 0)
  end
  return total
end

-- All ids, each once.
function read_ids(registries)
  local ids, seen = {}, {}
  for _, registry in ipairs(registries) do
    for _, member in ipairs(pcall_redis(registry.is_list and 'LRANGE' or 'ZRANGE', registry.key, 0, -1)) do
      local id = registry.status == 'started' and member:match('^(.*):[^:]*$') or member
      if not seen[id] then ids[#ids + 1] = id end
      seen[id] = true
    end
  end
  return ids
end
