#!lua flags=no-writes
-- Reads a job's attempts.
-- KEYS  the job's hash, its stream of results, its attempts
-- Returns JSON: the job's fields (of FIELDS) by name, what is written down of its attempts (number, JSON, …), their
-- tracebacks by their SHA-1, as far as they are there, and what RQ's last result tells of an error, or false.
-- include base

local FIELDS = {'status', 'started_at', 'ended_at', 'worker_name', 'errand_attempts', 'number_of_retries', 'errand_error',
  'errand_frame', 'errand_parked'}

local found, values = {}, call('HMGET', KEYS[1], unpack(FIELDS))
for i, field in ipairs(FIELDS) do found[field] = values[i] and values[i] ~= '' and values[i] or nil end
found.status = found.status or false

local kept, traces = call('HGETALL', KEYS[3]), {none = false}
for i = 2, #kept, 2 do
  local readable, attempt = pcall(cjson.decode, kept[i])
  local name = readable and type(attempt) == 'table' and attempt.trace
  if type(name) == 'string' and name ~= '' and traces[name] == nil then
    local trace = pcall_redis('GET', keys.TRACE .. name)
    traces[name] = type(trace) == 'string' and trace or false
  end
end

local recorded = false
if found.status == 'failed' or found.status == 'stopped' then
  local entry = pcall_redis('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  for i = 1, entry and #entry[2] or 0, 2 do
    if entry[2][i] == 'exc_string' then recorded = entry[2][i + 1] end
  end
end
return cjson.encode({found, kept, traces, recorded})
