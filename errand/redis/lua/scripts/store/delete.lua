#!lua flags=allow-oom
-- Deletes jobs that don't run, with all their keys; one that has not begun is canceled first. Sent twice, because a
-- reply was lost, it answers the same: what it did is kept for a minute under the token of the call.
-- ARGV  JSON {token, failure_seconds, statuses: {status: true, …} that they must have or nothing, registry: where each
--       job has to be or nothing}, then the jobs' ids
-- Returns whether dependents are left to scripts/store/settle_dependents.lua, then for each job '' (it is deleted),
-- false (it is not there) or why it can't be. Of jobs amid long queues it does fewer than it was asked for: ask for the
-- others anew.
-- include base, take_off_queue, store/bodies, store/settle_dependents, clock, time, jobs, slots, batch
-- include dependents, job_keys
-- include observe/notes, store/lost_jobs, store/end_of_step

local request = cjson.decode(ARGV[1])
read_time()
failure_seconds = request.failure_seconds
local memory = keys.DELETED .. request.token
local KEPT_SECONDS = 60 -- a caller that lost the reply calls again within seconds
local ENDED = keys.ENDED

local function take_from_others(id, hash, job)
  local found = call('HMGET', hash, 'description', 'errand_tags', 'dependency_ids', 'group_id', 'errand_bodies',
    'errand_after')
  pcall_redis('ZREM', keys.INDEX .. job.queue .. ':' .. (found[1] or ''), id)
  for _, tag in ipairs(rare.read_list(found[2]) or {}) do pcall_redis('ZREM', keys.TAG .. tostring(tag), id) end
  for _, parent in ipairs(rare.read_list(found[6] or found[3]) or {}) do
    pcall_redis('SREM', keys.CHILDREN .. tostring(parent), id)
  end
  if found[4] and found[4] ~= '' then pcall_redis('SREM', keys.GROUP .. found[4], id) end
  if found[5] then pcall(let_go_of_bodies, id, found[5]) end
  for _, registry in ipairs({keys.FINISHED, keys.FAILED, keys.CANCELED, keys.SCHEDULED, keys.DEFERRED, keys.READY}) do
    pcall_redis('ZREM', registry .. job.queue, id)
  end
end

local function delete_keys(id, queue)
  for _, execution in ipairs(pcall_redis('ZRANGE', keys.EXECUTIONS .. id, 0, -1)) do -- of workers that died long ago
    local member = id .. ':' .. execution
    call('DEL', keys.EXECUTION .. member)
    pcall_redis('ZREM', keys.LEASES, member)
    if queue then pcall_redis('ZREM', keys.WIP .. queue, member) end
  end
  rare.open_notes().forget(keys.LOGS .. id)
  call('DEL', keys.RESULTS .. id, keys.EXECUTIONS .. id, keys.ATTEMPTS .. id, keys.LOGS .. id,
    unpack(rare.list_job_keys(id)))
end

local function judge(id, job)
  if request.statuses and not request.statuses[job.status] then return 'its status is ' .. job.status end
  if is_run(id, job.queue) then return 'it is running; cancel it first' end
end

local function delete(id)
  local hash = keys.JOB .. id
  if call('EXISTS', hash) == 0 then
    if request.registry then call('ZREM', request.registry, id) end
    return false
  end
  if request.registry and not call('ZSCORE', request.registry, id) then return false end
  local job = rare.read_job(id)
  if not job then -- damaged: there is no more to it than its keys
    if request.registry then call('ZREM', request.registry, id) end
    delete_keys(id)
    return ''
  end
  local reason = judge(id, job)
  if reason then return reason end
  local is_over = ENDED[job.status]
  rare.withdraw(id, job)
  note_in_batch(hash, id, is_over and job.status or '') -- its count outlives it; unended ones count as deleted
  rare.settle_dependents(id, job.status == 'finished' and 'finished' or 'deleted')
  take_from_others(id, hash, job)
  delete_keys(id, job.queue)
  if job.limit then pcall(rare.free_slot, id, job.limit) end
  return ''
end

local kept = call('GET', memory)
if kept then return cjson.decode(kept) end
local outcomes = {}
for i = 2, #ARGV do
  if rare.searched > keys.SEARCHED_AT_ONCE then break end
  outcomes[i] = delete(ARGV[i])
end
outcomes[1] = rare.open_settling().has_noted() and 1 or 0
call('SET', memory, cjson.encode(outcomes), 'EX', KEPT_SECONDS)
finish_step()
return outcomes
