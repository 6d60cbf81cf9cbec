#!lua flags=allow-oom
-- Looks after jobs that wait for others and that nobody will settle any more: a plain worker leaves the dependents of
-- what fails, RQ's own tools those of what they cancel or delete. And after what stands in RQ's registry of started
-- jobs without an end, as we put it there, and has no lease: nobody would ever take it out.
-- ARGV  1 to 6 as lib/worker/execution_records.lua, 7 the queue, 8 the first of its deferred jobs to look at, 9 how
-- many at most
-- Returns how many were looked at, none where there is no more, and how many of them no longer wait.
-- include base, jobs, keep_dead_letters, store/settle_dependents, dependents, worker/execution_records
-- include store/end_of_step

local ENDED_BADLY = keys.ENDED_BADLY
local LOOKED_AT = 200 -- at random, so that each has its turn
local PARENTS_LIMIT = keys.LINKS_LIMIT -- looked at in one step, about
local looked = 0

local function find_parents(id)
  local found = {}
  for _, parent in ipairs(call('SMEMBERS', keys.JOB_LINKS .. id .. keys.DEPENDENCIES)) do
    local status = rare.read_status(parent)
    -- One that was deleted may have dependents that are about to be settled.
    if not status and rare.open_settling().is_noted_as_deleted(parent) then status = 'deleted' end
    found[#found + 1] = {id = parent, status = status}
  end
  looked = looked + #found
  return found
end

local function describe(id, job)
  local pending, present, refused = false, false, nil
  for _, parent in ipairs(find_parents(id)) do
    present = present or parent.status
    pending = pending or (parent.status and parent.status ~= 'finished' and not ENDED_BADLY[parent.status])
    if ENDED_BADLY[parent.status] and not rare.accepts(job, parent.status) then refused = parent.id end
  end
  return pending, present, refused
end

local function settle(id, job)
  local pending, present, refused = describe(id, job)
  if refused and job.on_failure == 'wait' then
    rare.keep(refused)
  elseif refused then
    rare.cancel_job(id, job, rare.describe_cancel('it waited for job ' .. refused .. ', which did not succeed'))
  elseif not pending and not present and job.on_failure ~= 'run' then
    rare.cancel_job(id, job, rare.describe_cancel('the jobs that it waited for are gone'))
  elseif not pending then
    rare.pass_on(id, job)
  end
end

-- Leases may go where somebody deletes them; what has none gets one that is over, and is recovered with the next beat.
local function find_unheld(wip)
  local found = pcall_redis('ZRANDMEMBER', wip, LOOKED_AT, 'WITHSCORES')
  for i = 1, #found, 2 do
    local member = found[i]
    if found[i + 1] == 'inf' and member:find(':', 1, true) and not call('ZSCORE', keys.LEASES, member) then
      local owner = pcall_redis('HGET', keys.EXECUTION .. member, 'worker_name')
      local is_held = type(owner) == 'string' and call('EXISTS', keys.WORKER .. owner) == 1
        and pcall_redis('SISMEMBER', name_held(owner), member) == 1
      if not is_held then call('ZADD', keys.LEASES, 0, member) end
    end
  end
end

pcall(find_unheld, keys.WIP .. ARGV[7])
local key, seen, gone = keys.DEFERRED .. ARGV[7], 0, 0
local ids = call('ZRANGE', key, ARGV[8], ARGV[8] + ARGV[9] - 1)
for _, id in ipairs(ids) do
  if looked >= PARENTS_LIMIT or rare.open_settler().is_full() then break end
  seen = seen + 1
  local job = rare.read_job(id)
  if job and job.status == 'deferred' then pcall(settle, id, job) else call('ZREM', key, id) end
  if not call('ZSCORE', key, id) then gone = gone + 1 end
end
finish_step()
return {seen, gone}
