#!lua flags=no-writes
-- Reads a job's attempts.
-- KEYS  the job's hash, its stream of results, its attempts
-- Returns JSON: the job's fields (of FIELDS) by name, what is written down of its attempts (number, JSON, …), their
-- tracebacks by their SHA-1, as far as they are there, and the traceback of RQ's last result, or false. In the place of
-- one that is too large to be shown stands keys.TOO_LARGE.
-- include base, store/status

local FIELDS = {'status', 'started_at', 'ended_at', 'worker_name', 'errand_attempts', 'number_of_retries',
  'errand_error', 'errand_frame', 'errand_parked'}

local TOO_LARGE, WITH_TRACEBACK = keys.TOO_LARGE, keys.WITH_TRACEBACK

local found, values = {}, call('HMGET', KEYS[1], unpack(FIELDS))
for i, field in ipairs(FIELDS) do found[field] = values[i] and values[i] ~= '' and values[i] or nil end
found.status = found.status or false

local kept, traces = call('HGETALL', KEYS[3]), {none = false}
for i = 2, #kept, 2 do
  local readable, attempt = pcall(cjson.decode, kept[i])
  local name = readable and type(attempt) == 'table' and attempt.trace
  if type(name) == 'string' and name ~= '' and traces[name] == nil then
    local size = pcall_redis('STRLEN', keys.TRACE .. name)
    local is_large = type(size) == 'number' and size > keys.TRACE_BYTES
    local trace = is_large and TOO_LARGE or pcall_redis('GET', keys.TRACE .. name)
    traces[name] = type(trace) == 'string' and trace or false
  end
end

local recorded = false
if WITH_TRACEBACK[found.status] then
  local fields = read_result(KEYS[2]) or {}
  for i = 1, #fields, 2 do
    if fields[i] == 'exc_string' then recorded = fields[i + 1] end
    if fields[i] == 'exc_string_bytes' then recorded = TOO_LARGE end
  end
end
return cjson.encode({found, kept, traces, recorded})
