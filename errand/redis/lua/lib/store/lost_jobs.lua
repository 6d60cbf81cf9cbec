-- Jobs that have not ended and are in none of the places where somebody would find them.
-- gives is_lost, is_run, get_searched
-- include base

local NEAR, MOST = 1000, keys.SEARCHED_AT_ONCE -- places of a list; what is behind so many counts as there
local REGISTRIES = {scheduled = keys.SCHEDULED, deferred = keys.DEFERRED}
local searched = 0

-- How many places of lists were looked at.
function get_searched()
  return searched
end

-- Whether somebody runs a job: a plain worker, by RQ's score of the execution, or ours, by its lease or RQ's registry.
function is_run(id, queue)
  local found, seconds = pcall_redis('ZRANGE', keys.EXECUTIONS .. id, 0, -1, 'WITHSCORES'), tonumber(call('TIME')[1])
  for i = 1, #found, 2 do
    local member, score = id .. ':' .. found[i], found[i + 1]
    if score ~= 'inf' and tonumber(score) > seconds then return true end
    -- an error is true, too: what can't be read is left alone
    local is_listed = score == 'inf' and pcall_redis('ZSCORE', keys.LEASES, member)
    if score == 'inf' and (is_listed or pcall_redis('ZSCORE', keys.WIP .. queue, member)) then return true end
  end
  return false
end

local function is_in_list(key, id)
  local size, reach = pcall_redis('LLEN', key), NEAR
  if type(size) ~= 'number' then return true end
  while size > 0 do
    searched = searched + math.min(reach, size)
    if call('LPOS', key, id, 'MAXLEN', reach) then return true end
    if reach >= size then return false end
    if reach >= MOST then return true end
    if reach == NEAR and call('LPOS', key, id, 'RANK', -1, 'MAXLEN', NEAR) then return true end
    reach = MOST
  end
  return false
end

local function is_parked(id, job)
  if pcall_redis('ZSCORE', keys.RATED_JOBS .. job.queue .. ':' .. job.type, id) then return true end
  local readable, parked = pcall(cjson.decode, job.parked or '')
  return readable and type(parked) == 'table' and pcall_redis('ZSCORE', tostring(parked.key), id) and true or false
end

-- Whether a job, as lib/jobs.lua reads it, is lost. What a plain worker has taken lies in RQ's intermediate list.
function is_lost(id, job)
  if job.status == 'queued' then
    return not is_parked(id, job) and not is_in_list(keys.QUEUE .. job.queue .. ':intermediate', id)
      and not is_run(id, job.queue) and not is_in_list(keys.QUEUE .. job.queue, id)
  elseif job.status == 'started' then
    return not is_run(id, job.queue)
  end
  return REGISTRIES[job.status] ~= nil and not pcall_redis('ZSCORE', REGISTRIES[job.status] .. job.queue, id)
end
