#!lua flags=no-writes
-- Reads one job.
-- KEYS  the job's hash, its stream of results
-- Returns JSON, one string being cheaper to read than many: the fields by name, the last result (field, value, …) of a
-- job that has ended or false, the time it is scheduled for or false, and a hundred of the jobs that depend on it (the
-- first, unless there are more than a thousand), each as {id, status or false}.

local FIELDS = {'status', 'origin', 'description', 'created_at', 'enqueued_at', 'started_at', 'ended_at', 'retries_left',
  'errand_attempts', 'errand_interruptions', 'errand_losses', 'errand_progress', 'errand_error', 'errand_batch', 'errand_tags',
  'dependency_ids'}
local LISTED, SORTED = 100, 1000
local found, values, last, due = {}, redis.call('HMGET', KEYS[1], unpack(FIELDS)), false, false
for i, field in ipairs(FIELDS) do found[field] = values[i] and values[i] ~= '' and values[i] or nil end
if found.status == 'scheduled' and found.origin then
  due = redis.call('ZSCORE', 'rq:scheduled:' .. found.origin, KEYS[1]:match('[^:]+$'))
elseif found.status == 'finished' or found.status == 'failed' or found.status == 'stopped' then
  local entry = redis.pcall('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  last = entry and entry[2] or false
end

local key, linked = 'errand:dependents:' .. KEYS[1]:match('[^:]+$'), {}
local is_sorted = redis.call('SCARD', key) <= SORTED
local children = is_sorted and redis.call('SMEMBERS', key) or redis.call('SSCAN', key, 0, 'COUNT', LISTED)[2]
table.sort(children)
for i = 1, math.min(#children, LISTED) do
  linked[i] = {children[i], redis.call('HGET', 'rq:job:' .. children[i], 'status')}
end
return cjson.encode({found, last, due, linked})
