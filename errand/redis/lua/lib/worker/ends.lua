-- What becomes of the jobs whose executions have something to say: their ends, and their reports of progress.
-- ARGV  as lib/worker/head.lua
-- gives aside, hear_all, count_ends_of_worker
-- include base, events, jobs, faults, observe/tally, worker/head, worker/special, worker/release, worker/aside
-- include worker/finish, worker/unfinished

aside = {} -- jobs set aside: {id, reason}
local gone = {}
local ends, waited_us, ran_seconds = {}, {}, {} -- by how it ended and by tag, by tag

-- What an end counts as; of one that is handed back that is counted there.
local FATES = {finished = 'finished', failed = 'failed', stopped = 'stopped', queued = 'retried', scheduled = 'retried'}

-- Count the end of an attempt, and how long it waited and ran: in sums by tag, to be told once a call.
local function count_end(word, answer, seconds)
  local fate = word.kind ~= 'interrupted' and FATES[answer]
  if not fate then return end
  local tags, tag = ends[fate], word.tag
  if not tags then
    tags = {}
    ends[fate] = tags
  end
  tags[tag] = (tags[tag] or 0) + 1
  waited_us[tag] = (waited_us[tag] or 0) + word.wait_us
  ran_seconds[tag] = (ran_seconds[tag] or 0) + seconds
end

local ENDS = {'status', 'result_ttl', 'rate_limit_key', 'repeats_left', 'errand_batch', 'errand_webhook'}

local function hear(word)
  local hash, is_end = keys.JOB .. word.id, word.kind ~= 'progress'
  if not word.lease or gone[word.member] then return 'late' end
  gone[word.member] = is_end or nil
  touch(word.id)
  local found = pcall_redis('HMGET', hash, unpack(ENDS))
  if found.err or (not found[1] and not rare.is_hash(hash)) then
    if is_end then rare.release(word.id, word.execution, word.queue) end
    return 'deleted'
  end
  -- A person may have canceled it meanwhile, with RQ's own tools.
  if is_end and found[1] ~= 'started' then
    rare.release(word.id, word.execution, word.queue)
    rare.free_late_slot(word.id, found[1], found[3])
    return 'canceled'
  end
  if are_held and is_end then rare.look_at_service(word, hash) end
  local answer
  if not is_end then
    call('HSET', hash, 'errand_progress', word.value)
    return 'progress'
  elseif word.kind == 'finished' then
    answer = finish(word, hash, found)
  else
    answer = rare.end_otherwise(word, hash, found)
  end
  if answer ~= 'repeats' then -- RQ's own code counts one that repeats
    local seconds = word.ended - word.started
    count_end(word, answer, seconds)
    counted.total_working_time = counted.total_working_time + seconds
  end
  return answer
end

-- Record words; return an answer for each.
function hear_all(words)
  local answers, members = {}, {}
  for i, word in ipairs(words) do members[i] = word.member end
  local leases = #words > 0 and redis.pcall('ZMSCORE', keys.LEASES, unpack(members))
  if leases and leases.err then
    -- paste worker/held_without
    leases = find_held(words)
  end
  local alone = stand_alone(words)
  for i, word in ipairs(words) do
    word.lease, word.alone = leases[i], alone
    local ok, answer = pcall(hear, word)
    if not ok then -- a key of another type, say: one broken job must not hold up the others
      pcall(rare.release, word.id, word.execution, word.queue)
      aside[#aside + 1] = rare.set_aside(word.id, 'its end could not be recorded: ' .. rare.describe_fault(answer))
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
