#!lua
-- Stores the jobs of schedules' occurrences, notes their runs and sets the next occurrences, in one step. A second call
-- for an occurrence changes nothing.
-- KEYS  those of `enqueue` in lib/enqueue.lua, of the occurrences that have a job
-- ARGV  JSON [{name, token, occurrence, next: an occurrence or '+inf', runs: [JSON, …] oldest first, job: its id or
--       none, after: the job that this one waits for or none, kept: how many runs}, …], then those of `enqueue`, each
--       job a group of its own
-- Returns for each occurrence `served`; `passed` where somebody was first or the schedule has changed; `later` where
-- the job that its own is to wait for has just expired; or, of a schedule whose own keys are damaged, `broken` and why.
-- Where jobs can't be stored nothing is done, and it returns `refused` and why.
-- include base, enqueue, faults, store/runs

local EACH = 6 -- arguments of a group of one job
local occurrences, answers, opened = cjson.decode(ARGV[1]), {}, {}

local function open(one)
  local key = keys.SCHEDULE .. one.name
  local found = call('HMGET', key, 'token', 'batch')
  if found[1] ~= one.token or tonumber(call('ZSCORE', keys.SCHEDULES, one.name) or '') ~= one.occurrence then
    return 'passed'
  end
  if one.after and call('EXISTS', keys.JOB .. one.after) == 0 then return 'later' end
  one.key, one.record = key, keys.BATCH .. found[2]
  one.size = add_runs(key, one.record, one.runs, one.job)
  return 'served'
end

local function undo(one)
  if one.job and one.record then pcall_redis('HDEL', one.record, one.job) end
  if one.size then pcall_redis('LPOP', one.key .. keys.RUNS, #one.runs) end
end

local names, args, nth, has_jobs = {KEYS[1], KEYS[2], KEYS[3]}, {unpack(ARGV, 2, 5)}, 0, false
for i, one in ipairs(occurrences) do
  local ok, answer = pcall(open, one)
  answers[i] = ok and answer or 'broken ' .. rare.describe_fault(answer)
  if not ok then
    undo(one)
  elseif answer == 'served' then
    opened[#opened + 1] = one
  end
  if one.job then
    if answers[i] == 'served' then
      has_jobs = true
      names[#names + 1] = KEYS[4 + nth]
      for at = 1, EACH do args[#args + 1] = ARGV[5 + nth * EACH + at] end
    end
    nth = nth + 1
  end
end

if has_jobs then
  local ok, broken = pcall(enqueue, names, args)
  if not ok or type(broken) == 'table' then
    for _, one in ipairs(opened) do undo(one) end
    local is_crowded = ok and not broken.err
    local why = is_crowded and broken[2] .. ' has as many dependents as it may have' or rare.describe_fault(broken)
    return {'refused', why}
  end
end
for _, one in ipairs(opened) do
  trim_runs(one.key, one.record, one.size, one.kept)
  if one.job then call('HSET', one.key, 'last_job', one.job) end
  call('ZADD', keys.SCHEDULES, one.next, one.name)
end
return answers
