#!lua flags=no-writes
-- Reads the workers that RQ lists, ours and others, and what they hold. One whose record has expired is left out.
-- ARGV  how many of a worker's jobs are described at most
-- Returns JSON: for each {name, its fields, with how many jobs it runs at once as `threads` and, of ours, `ours`, how
-- many jobs it holds, some of them: {id, type, when it started: in seconds or as text}}, then the time as TIME returns
-- it.
-- include base

local FIELDS = {'state', 'queues', 'hostname', 'pid', 'birth', 'last_heartbeat', 'successful_job_count',
  'failed_job_count', 'total_working_time', 'current_job', 'death'}

local function read(key, fields)
  local found, values = {}, pcall_redis('HMGET', key, unpack(fields))
  if values.err then return found end
  for i, field in ipairs(fields) do found[field] = values[i] and values[i] ~= '' and values[i] or nil end
  return found
end

local function list_jobs(name, current)
  local members, jobs = call('SMEMBERS', keys.WORKER .. name .. keys.HELD), {}
  for i = 1, math.min(#members, tonumber(ARGV[1])) do
    local id = members[i]:match('^(.*):[^:]*$') or members[i]
    local job = read(keys.JOB .. id, {'description', 'started_at'})
    local execution = read(keys.EXECUTION .. members[i], {'created_at'})
    jobs[i] = {id, job.description or '', execution.created_at or job.started_at or ''}
  end
  if #members == 0 and current then
    local job = read(keys.JOB .. current, {'description', 'started_at'})
    return 1, {{current, job.description or '', job.started_at or ''}}
  end
  return #members, jobs
end

local workers = {}
for _, key in ipairs(call('SMEMBERS', keys.WORKERS)) do
  local name = key:sub(1, #keys.WORKER) == keys.WORKER and key:sub(#keys.WORKER + 1)
  local found = name and read(key, FIELDS)
  if found and found.last_heartbeat and not found.death then
    local count, jobs = list_jobs(name, found.current_job)
    local threads = pcall_redis('HGET', keys.TYPES .. name, keys.THREADS)
    found.threads = type(threads) == 'string' and threads or nil
    found.ours = call('EXISTS', keys.TYPES .. name) == 1 and '1' or nil
    workers[#workers + 1] = {name, found, count, jobs}
  end
end
return cjson.encode({workers, call('TIME')})
