-- Jobs that finish: most do, and nobody waits for them. What these have in common is written in one command for all of
-- them.
-- ARGV  as lib/worker/execution_records.lua
-- gives counted, stand_alone, finish, let_go_now
-- include base, events, slots, webhook, batch, dependents, job_keys, worker/execution_records, worker/end_lease
-- include worker/result

counted = {successful_job_count = 0, failed_job_count = 0, total_working_time = 0}
local finished = {members = {}, executions = {}, queues = {}}

-- Nobody waits for a job and it waited for nobody, as far as Redis has the keys.
function stand_alone(reports)
  local links = {}
  for _, report in ipairs(reports) do
    if report.kind == 'finished' then
      links[#links + 1] = keys.JOB .. report.id .. keys.DEPENDENTS
      links[#links + 1] = keys.JOB_LINKS .. report.id .. keys.DEPENDENCIES
    end
  end
  return #links == 0 or call('EXISTS', unpack(links)) == 0
end

local function let_go_later(report, score)
  finished.members[#finished.members + 1] = report.member
  finished.executions[#finished.executions + 1] = keys.EXECUTION .. report.member
  local queue = finished.queues[report.queue] or {members = {}, scores = {}}
  finished.queues[report.queue] = queue
  queue.members[#queue.members + 1] = report.member
  queue.scores[#queue.scores + 1] = score
  queue.scores[#queue.scores + 1] = report.id
end

-- Our leases go first, as in `release`.
function let_go_now()
  if #finished.members == 0 then return end
  pcall_redis('ZREM', keys.LEASES, unpack(finished.members))
  call('DEL', unpack(finished.executions))
  pcall_redis('SREM', name_held(worker), unpack(finished.members))
  for name, queue in pairs(finished.queues) do
    pcall_redis('ZREM', keys.WIP .. name, unpack(queue.members))
    pcall_redis('ZADD', keys.FINISHED .. name, unpack(queue.scores))
  end
end

function finish(report, hash, found)
  local ttl = tonumber(found[2] or '') or tonumber(ARGV[5])
  if (tonumber(found[4] or '') or 0) > 0 then return 'repeats' end -- RQ's own code repeats it
  counted.successful_job_count = counted.successful_job_count + 1
  if ttl == 0 or not report.alone then
    rare.settle_dependents(report.id, 'finished')
  end
  if found[5] then note_in_batch(hash, report.id, 'finished') end
  if found[6] or WEBHOOK_URL then rare.notify_end(report.id, 'finished', found[6], report.ended_text, report.value) end
  if ttl == 0 then
    rare.release(report.id, report.execution, report.queue)
    call('DEL', keys.RESULTS .. report.id, unpack(rare.list_job_keys(report.id)))
  else
    call('HSET', hash, 'status', 'finished', 'ended_at', report.ended_text, 'last_heartbeat', report.ended_text)
    add_result(report.id, '1', report.execution, 'return_value', report.value, report.started, report.ended, ttl)
    pcall_redis('ZREM', keys.EXECUTIONS .. report.id, report.execution)
    let_go_later(report, ttl < 0 and '+inf' or math.floor(now) + ttl)
    if report.alone then
      if ttl > 0 then call('EXPIRE', hash, ttl) end
    else
      rare.expire_job(report.id, ttl)
    end
  end
  if found[3] and found[3] ~= '' then pcall(rare.free_slot, report.id, found[3]) end
  return 'finished'
end
