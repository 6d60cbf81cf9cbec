#!lua flags=allow-oom
-- One exchange of a runner: records what its executions report and takes new jobs, with all of RQ's start records.
-- ARGV  1 to 6 as lib/worker/execution_records.lua, 7 the types that the worker has (lib/worker/types.lua), 8 how many
-- reports
--       follow, each of 10: kind (unknown:<type> names a type), job, execution, queue, ended as text, started and
--       ended in seconds, value; of a finished one its tag (type|wait|run, lib/observe/tally.lua) and how many
--       microseconds it waited; of others but progress four lines, these two, where in the job's code it failed and
--       the error (JSON), and the least delay of a retry in seconds;
--       then how many jobs to take at most; 0 to take them, or where the reply to this call was lost 1 to return what
--       it took, and take them where it took none, or 2 to take none; whether the queues are served in turn, which
--       comes first, how many, their names; then an execution id for each job that may be taken; then for each type
--       that has a rate its name, how many may start in a period, and the period in microseconds
-- Returns what became of each report, the jobs taken, those quarantined with the reason, in how many milliseconds a job
-- may start that its type's rate holds back now (-1: none), the time in microseconds, and what had expired and was
-- canceled.
-- A key of a wrong type stops what is in it: jobs that can't be held or parked go back to their queue, or wait a
-- minute.
-- include base, worker/execution_records, worker/types, worker/rates, worker/hold_types, worker/park
-- include worker/record_reports, worker/take_and_start
-- include dependents, worker/expiry, store/end_of_step

local at = 6
local function read()
  at = at + 1
  return ARGV[at]
end

local function read_many(count)
  local values = {}
  for i = 1, count do values[i] = ARGV[at + i] end
  at = at + count
  return values
end

-- The queues that are not paused, and which of them comes first.
local function leave_paused(names, start)
  if call('EXISTS', keys.SUSPENDED) == 1 then return {}, 1 end
  local paused, left, first_left = {}, {}, 1
  for _, name in ipairs(redis.pcall('SMEMBERS', keys.PAUSED)) do paused[name] = true end
  for i, name in ipairs(names) do
    if not paused[name] then
      if i < start then first_left = #left + 2 end
      left[#left + 1] = name
    end
  end
  return left, first_left <= #left and first_left or 1
end

known_types = read()
local has_special = call('EXISTS', keys.SUSPENDED, keys.PAUSED, keys.RATED, keys.PARKED, keys.HELD_TYPES,
  keys.EXPIRES) > 0
are_held = has_special and call('EXISTS', keys.HELD_TYPES) == 1
local reports = {}
for i = 1, tonumber(read()) do
  local id, execution = ARGV[at + 2], ARGV[at + 3]
  local report = {kind = ARGV[at + 1], id = id, execution = execution, member = id .. ':' .. execution,
    queue = ARGV[at + 4], ended_text = ARGV[at + 5], started = ARGV[at + 6], ended = ARGV[at + 7], value = ARGV[at + 8],
    tag = ARGV[at + 9], wait_us = ARGV[at + 10]}
  if report.kind ~= 'finished' and report.kind ~= 'progress' then
    report.delay = report.wait_us
    report.tag, report.wait_us, report.frame, report.error = report.tag:match('^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
  end
  reports[i] = report
  at = at + 10
end
local answers = record_reports(reports)

local want, asking, in_turn, first = tonumber(read()), read(), read() == '1', tonumber(read())
local queues = read_many(tonumber(read()))
local executions = read_many(want)

local taken = {}
if asking ~= '0' and want > 0 then
  taken = take_again(executions)
  if #taken > 0 or asking == '2' then want = 0 end
end
local wait_ms = -1
if want > 0 then
  for i = 1, #ARGV - at, 3 do
    rates[ARGV[at + i]] = {most = tonumber(ARGV[at + i + 1]), period_us = tonumber(ARGV[at + i + 2])}
  end
  if has_special then
    queues, first = leave_paused(queues, first)
    rare.read_parked()
    look_at_expiries()
  end
  local served = {unpack(queues)}
  taken = take(want, queues, first, in_turn, executions)
  if next(paces) then rare.keep_starts() end
  if has_expired_many() then wait_ms = 0
  elseif is_full() or next(parked) then wait_ms = rare.find_rated_wait(served) end
end

if call('EXISTS', worker_key) == 1 then
  if #taken > 0 then
    pcall_redis('HSET', worker_key, 'state', 'busy')
  elseif #answers > 0 and call('EXISTS', name_held(worker)) == 0 then
    pcall_redis('HSET', worker_key, 'state', 'idle')
  end
end
if next(takers) then rare.wake_takers() end
count_ends_of_worker()
finish_step(clock[1])
return {answers, taken, quarantined, wait_ms, clock_us, expired}
