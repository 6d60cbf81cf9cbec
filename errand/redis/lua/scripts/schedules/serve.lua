#!lua
-- Stores the jobs of schedules' slots, notes their runs and sets the next slots, in one step. A second call for a slot
-- changes nothing.
-- KEYS  those of `enqueue` in lib/enqueue.lua, of the slots that have a job
-- ARGV  JSON [{name, token, slot, next: a slot or '+inf', runs: [JSON, …] oldest first, job: its id or none, after: the
--       job that this one waits for or none, kept: how many runs}, …], then those of `enqueue`, each job a group of its
--       own
-- Returns for each slot `served`; `passed` where somebody was first or the schedule has changed; `later` where the job
-- that its own is to wait for has just expired; or, of a schedule whose own keys are damaged, `broken` and why. Where
-- jobs can't be stored nothing is done, and it returns `refused` and why.
-- include base, enqueue, faults, store/runs

local EACH = 6 -- arguments of a group of one job
local slots, answers, opened = cjson.decode(ARGV[1]), {}, {}

local function open(slot)
  local key = keys.SCHEDULE .. slot.name
  local found = call('HMGET', key, 'token', 'batch')
  if found[1] ~= slot.token or tonumber(call('ZSCORE', keys.SCHEDULES, slot.name) or '') ~= slot.slot then
    return 'passed'
  end
  if slot.after and call('EXISTS', keys.JOB .. slot.after) == 0 then return 'later' end
  slot.key, slot.record = key, keys.BATCH .. found[2]
  slot.size = add_runs(key, slot.record, slot.runs, slot.job)
  return 'served'
end

local function undo(slot)
  if slot.job and slot.record then pcall_redis('HDEL', slot.record, slot.job) end
  if slot.size then pcall_redis('LPOP', slot.key .. keys.RUNS, #slot.runs) end
end

local names, args, nth, has_jobs = {KEYS[1], KEYS[2], KEYS[3]}, {unpack(ARGV, 2, 5)}, 0, false
for i, slot in ipairs(slots) do
  local ok, answer = pcall(open, slot)
  answers[i] = ok and answer or 'broken ' .. rare.describe_fault(answer)
  if not ok then
    undo(slot)
  elseif answer == 'served' then
    opened[#opened + 1] = slot
  end
  if slot.job then
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
    for _, slot in ipairs(opened) do undo(slot) end
    local is_crowded = ok and not broken.err
    return {'refused', is_crowded and broken[2] .. ' has as many dependents as it may have' or rare.describe_fault(broken)}
  end
end
for _, slot in ipairs(opened) do
  trim_runs(slot.key, slot.record, slot.size, slot.kept)
  if slot.job then call('HSET', slot.key, 'last_job', slot.job) end
  call('ZADD', keys.SCHEDULES, slot.next, slot.name)
end
return answers
