-- A job as the API shows it.
-- gives describe_status, read_result
-- include base

local FIELDS = {'status', 'origin', 'description', 'created_at', 'enqueued_at', 'started_at', 'ended_at',
  'retries_left', 'errand_attempts', 'errand_interruptions', 'errand_losses', 'errand_progress', 'errand_error',
  'errand_batch', 'errand_tags', 'dependency_ids', 'errand_parked', 'errand_expires_at'}
local MOST_BYTES = {return_value = keys.RESULT_BYTES, exc_string = keys.TRACE_BYTES}
local LISTED, SORTED = 100, 1000 -- children shown, and how many may be sorted for that

-- The fields of RQ's last entry of a job's results, nothing where there is none. Of what is too large to be shown
-- there is its size alone, as <field>_bytes; very much of it is not even read, since the server does nothing else
-- meanwhile.
function read_result(results)
  local size = pcall_redis('MEMORY', 'USAGE', results, 'SAMPLES', 1)
  if type(size) == 'number' and size > keys.DATA_BYTES then
    return {'return_value_bytes', tostring(size), 'exc_string_bytes', tostring(size)}, '0-0'
  end
  local entry = pcall_redis('XREVRANGE', results, '+', '-', 'COUNT', 1)[1]
  if not entry then return nil end
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if #fields[i + 1] > (MOST_BYTES[fields[i]] or math.huge) then
      fields[i], fields[i + 1] = fields[i] .. '_bytes', tostring(#fields[i + 1])
    end
  end
  return fields, entry[1]
end

-- Return JSON, one string being cheaper to read than many: the fields by name, the last result (field, value, …) of a
-- job that has ended or false, the time it is scheduled for or false, and a hundred of the jobs that depend on it (the
-- first, unless there are more than a thousand), each as {id, status or false}; of a job that has ended also how many
-- dependents are still to be settled, where there are any. Given are the job's hash, its stream of results and whether
-- to look how much it has logged.
function describe_status(hash, results, with_lines)
  local found, values, last, due = {}, call('HMGET', hash, unpack(FIELDS)), false, false
  local id = hash:sub(#keys.JOB + 1)
  for i, field in ipairs(FIELDS) do found[field] = values[i] and values[i] ~= '' and values[i] or nil end
  if with_lines then found.errand_lines = call('HGET', hash, 'errand_lines') or nil end
  if found.dependency_ids then found.dependency_ids = call('HGET', hash, 'errand_after') or found.dependency_ids end
  if found.status == 'scheduled' and found.origin then
    due = call('ZSCORE', keys.SCHEDULED .. found.origin, id)
  elseif found.status == 'finished' or found.status == 'failed' or found.status == 'stopped' then
    last = read_result(results) or false
  end

  local key, linked = keys.CHILDREN .. id, {}
  local answer = {found, last, due, linked}
  local count = call('SCARD', key)
  if count > 0 then
    if found.ended_at then answer[5] = call('SCARD', keys.SETTLING_JOBS .. found.status .. ':' .. id) end
    local children = count <= SORTED and call('SMEMBERS', key) or call('SSCAN', key, 0, 'COUNT', LISTED)[2]
    table.sort(children)
    for i = 1, math.min(#children, LISTED) do
      local word = pcall_redis('HGET', keys.JOB .. children[i], 'status')
      linked[i] = {children[i], type(word) == 'string' and word}
    end
  end
  return cjson.encode(answer)
end
