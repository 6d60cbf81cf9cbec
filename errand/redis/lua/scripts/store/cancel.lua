#!lua flags=allow-oom
-- Cancels jobs that have not begun, asks for the stop of those that run. Sent twice, because a reply was lost, it
-- changes nothing and answers the same: a job keeps the token of the call.
-- ARGV  how many seconds canceled jobs are kept that don't say so themselves, the call's token, the jobs' ids
-- Returns whether dependents are left to scripts/store/settle_dependents.lua, then for each job false (it is not
-- there), 'canceled', 'stopped', 'started' (its workers have been asked to stop it: call again), or why it can't be
-- with a space before it. Of jobs amid long queues it does fewer than it was asked for: ask for the others again.
-- include base, clock, time, take_off_queue, jobs, keep_dead_letters, store/settle_dependents, dependents
-- include store/lost_jobs, store/end_of_step

read_time()
failure_seconds = tonumber(ARGV[1])
local token = ARGV[2]
local UNSTARTED = keys.UNSTARTED

-- RQ's stop-job (rq.command, 3.0.0). A plain worker gets it once: asked again when the job's process has just ended, it
-- would kill itself. Ours, which have leases, may be asked again.
local function notify_workers(id, executions, is_first)
  local notified = {}
  for _, execution in ipairs(executions) do
    local member = id .. ':' .. execution
    local worker = call('HGET', keys.EXECUTION .. member, 'worker_name') or call('HGET', keys.JOB .. id, 'worker_name')
    if worker and not notified[worker] and (is_first or pcall_redis('ZSCORE', keys.LEASES, member)) then
      notified[worker] = true
      call('PUBLISH', keys.COMMANDS .. worker, cjson.encode({command = 'stop-job', job_id = id}))
    end
  end
end

-- `errand_stop` names the executions: one that fails or is given back later does not run again.
local function stop(id, executions, is_first)
  call('HSET', keys.JOB .. id, 'errand_stop', table.concat(executions, ' '), 'errand_cancel', token)
  notify_workers(id, executions, is_first)
  return 'started'
end

-- A plain worker notes no reason, and leaves the job's dependents to wait.
local function complete_stop(id)
  call('HSETNX', keys.JOB .. id, 'errand_error', rare.STOPPED)
  if rare.settle_dependents(id, 'stopped') then rare.keep(id) end
  return 'stopped'
end

local function cancel(id)
  local hash = keys.JOB .. id
  local kind = call('TYPE', hash).ok
  if kind == 'none' then return false end
  if kind ~= 'hash' then return ' its record is damaged: it is a ' .. kind .. ', no hash' end
  local job = rare.read_job(id)
  if not job then return ' its record is damaged: it has no status or names no queue' end
  local is_first = call('HGET', hash, 'errand_cancel') ~= token
  local is_running = job.status == 'started' and is_run(id, job.queue)
  local executions = is_running and call('ZRANGE', keys.EXECUTIONS .. id, 0, -1) or {}
  if #executions > 0 then return stop(id, executions, is_first) end
  if UNSTARTED[job.status] or job.status == 'started' then -- begun, and nothing runs it: its record was left so
    if job.status == 'started' then call('DEL', keys.EXECUTIONS .. id) end
    call('HSET', hash, 'errand_cancel', token)
    rare.cancel_job(id, job, rare.describe_cancel('it was canceled on request'))
    return 'canceled'
  end
  if not is_first and job.status == 'stopped' then return complete_stop(id) end
  if not is_first and job.status == 'canceled' then return 'canceled' end
  return ' its status is ' .. job.status
end

local answers = {}
for i = 3, #ARGV do
  if rare.searched > keys.SEARCHED_AT_ONCE then break end
  answers[i - 1] = cancel(ARGV[i])
end
finish_step()
answers[1] = rare.open_settling().has_noted() and 1 or 0
return answers
