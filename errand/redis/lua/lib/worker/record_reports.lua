-- Recording what executions report: progress, and how they ended.
-- ARGV  as lib/worker/execution_records.lua
-- gives quarantined, record_reports, count_ends_of_worker
-- include base, events, jobs, faults, observe/tally, worker/execution_records, worker/exchange_state
-- include worker/end_lease, worker/quarantine
-- include worker/finish, worker/unfinished

quarantined = {} -- damaged jobs: {id, reason}
local gone = {}
local ends, waited_us, ran_seconds = {}, {}, {} -- by how it ended and by tag, by tag

-- What an end counts as; one that is handed back is counted in hand_back.lua.
local FATES = {finished = 'finished', failed = 'failed', stopped = 'stopped', queued = 'retried', scheduled = 'retried'}

-- Count the end of an attempt, and how long it waited and ran: in sums by tag, which one call writes down.
local function count_end(report, answer, seconds)
  local fate = report.kind ~= 'interrupted' and FATES[answer]
  if not fate then return end
  local tags, tag = ends[fate], report.tag
  if not tags then
    tags = {}
    ends[fate] = tags
  end
  tags[tag] = (tags[tag] or 0) + 1
  waited_us[tag] = (waited_us[tag] or 0) + report.wait_us
  ran_seconds[tag] = (ran_seconds[tag] or 0) + seconds
end

local ENDS = {'status', 'result_ttl', 'rate_limit_key', 'repeats_left', 'errand_batch', 'errand_webhook'}

local function record_report(report)
  local hash, is_end = keys.JOB .. report.id, report.kind ~= 'progress'
  if not report.lease or gone[report.member] then return 'late' end
  gone[report.member] = is_end or nil
  touch(report.id)
  local found = pcall_redis('HMGET', hash, unpack(ENDS))
  if found.err or (not found[1] and not rare.is_hash(hash)) then
    if is_end then rare.release(report.id, report.execution, report.queue) end
    return 'deleted'
  end
  -- A person may have canceled it meanwhile, with RQ's own tools.
  if is_end and found[1] ~= 'started' then
    rare.release(report.id, report.execution, report.queue)
    rare.free_late_slot(report.id, found[1], found[3])
    return 'canceled'
  end
  if are_held and is_end then rare.look_at_service(report, hash) end
  local answer
  if not is_end then
    call('HSET', hash, 'errand_progress', report.value)
    return 'progress'
  elseif report.kind == 'finished' then
    answer = finish(report, hash, found)
  else
    answer = rare.end_otherwise(report, hash, found)
  end
  if answer ~= 'repeats' then -- RQ's own code counts one that repeats
    local seconds = report.ended - report.started
    count_end(report, answer, seconds)
    counted.total_working_time = counted.total_working_time + seconds
  end
  return answer
end

-- Record reports; return an answer for each.
function record_reports(reports)
  local answers, members = {}, {}
  for i, report in ipairs(reports) do members[i] = report.member end
  local leases = #reports > 0 and redis.pcall('ZMSCORE', keys.LEASES, unpack(members))
  if leases and leases.err then
    -- paste worker/held_without_leases
    leases = find_held(reports)
  end
  local alone = stand_alone(reports)
  for i, report in ipairs(reports) do
    report.lease, report.alone = leases[i], alone
    local ok, answer = pcall(record_report, report)
    if not ok then -- a key of another type, say: one broken job must not hold up the others
      pcall(rare.release, report.id, report.execution, report.queue)
      local reason = 'its end could not be recorded: ' .. rare.describe_fault(answer)
      quarantined[#quarantined + 1] = rare.quarantine(report.id, reason)
    end
    answers[i] = ok and answer or 'broken'
  end
  let_go_now()
  return answers
end

-- Keep RQ's own counts of the worker, and ours.
function count_ends_of_worker()
  for fate, tags in pairs(ends) do
    for tag, many in pairs(tags) do tally(tag .. '|' .. fate, many) end
  end
  for tag, us in pairs(waited_us) do
    local type = tag:match('^[^|]*')
    tally(type .. '|w', us)
    tally(type .. '|r', math.floor(ran_seconds[tag] * 1000000))
  end
  if counted.successful_job_count + counted.failed_job_count > 0 and call('EXISTS', worker_key) == 1 then
    for _, name in ipairs({'successful_job_count', 'failed_job_count'}) do
      if counted[name] > 0 then redis.pcall('HINCRBY', worker_key, name, counted[name]) end
    end
    redis.pcall('HINCRBYFLOAT', worker_key, 'total_working_time', counted.total_working_time)
  end
end
