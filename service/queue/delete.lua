-- Deletes jobs that don't run, with all their keys; one that has not begun is canceled first. Sent twice, because a reply
-- was lost, it answers the same: what it did is kept for a minute under the token of the call.
-- ARGV  JSON {token, now in seconds, now_text in RQ's format, failure_seconds, statuses: {status: true, …} that they must
--       have or nothing, registry: where each job has to be or nothing}, then the jobs' ids
-- Returns for each job '' (it is deleted), false (it is not there) or why it can't be.

local request = cjson.decode(ARGV[1])
now, now_text, failure_seconds = request.now, request.now_text, request.failure_seconds
local memory = 'errand:deleted:' .. request.token
local KEPT_SECONDS = 60

local function read_list(stored)
  local readable, list = pcall(cjson.decode, stored or '[]')
  return readable and type(list) == 'table' and list or {}
end

local function take_from_indexes(id, hash, job)
  local found = call('HMGET', hash, 'description', 'errand_tags', 'dependency_ids', 'group_id')
  pcall_redis('ZREM', 'errand:index:' .. job.queue .. ':' .. (found[1] or ''), id)
  for _, tag in ipairs(read_list(found[2])) do pcall_redis('ZREM', 'errand:tag:' .. tostring(tag), id) end
  for _, parent in ipairs(read_list(found[3])) do pcall_redis('SREM', 'errand:dependents:' .. tostring(parent), id) end
  if found[4] and found[4] ~= '' then pcall_redis('SREM', 'rq:group:' .. found[4], id) end
  for _, name in ipairs({'finished', 'failed', 'canceled', 'scheduled', 'deferred', 'ready'}) do
    call('ZREM', 'rq:' .. name .. ':' .. job.queue, id)
  end
end

local function delete_keys(id, queue)
  for _, execution in ipairs(pcall_redis('ZRANGE', 'rq:executions:' .. id, 0, -1)) do -- of workers that died long ago
    local member = id .. ':' .. execution
    call('DEL', 'rq:execution:' .. member)
    call('ZREM', 'errand:leases', member)
    if queue then call('ZREM', 'rq:wip:' .. queue, member) end
  end
  call('DEL', 'rq:results:' .. id, 'rq:executions:' .. id, unpack(list_job_keys(id)))
end

local function judge(id, job)
  if request.statuses and not request.statuses[job.status] then return 'its status is ' .. job.status end
  if call('ZCOUNT', 'rq:executions:' .. id, now, '+inf') > 0 then return 'it is running; cancel it first' end
end

local function delete(id)
  local hash = 'rq:job:' .. id
  if call('EXISTS', hash) == 0 then
    if request.registry then call('ZREM', request.registry, id) end
    return false
  end
  if request.registry and not call('ZSCORE', request.registry, id) then return false end
  local job = read_job(id)
  if not job then -- damaged: there is no more to it than its keys
    if request.registry then call('ZREM', request.registry, id) end
    delete_keys(id)
    return ''
  end
  local reason = judge(id, job)
  if reason then return reason end
  local is_over = job.status == 'finished' or ENDED_BADLY[job.status]
  withdraw(id, job)
  note_in_batch(hash, id, is_over and job.status or '') -- its count outlives it; unended ones count as deleted
  settle_dependents(id, job.status == 'finished' and 'finished' or 'deleted')
  take_from_indexes(id, hash, job)
  delete_keys(id, job.queue)
  if job.limit then free_slot(id, job.limit) end
  return ''
end

local kept = call('GET', memory)
if kept then return cjson.decode(kept) end
local outcomes = {}
for i = 2, #ARGV do outcomes[i - 1] = delete(ARGV[i]) end
call('SET', memory, cjson.encode(outcomes), 'EX', KEPT_SECONDS)
wake()
return outcomes
