-- Jobs that finish: most do, and nobody waits for them. What these have in common is written in one command for all of
-- them.
-- ARGV  as lib/worker/head.lua
-- gives counted, stand_alone, finish, let_go_now
-- include base, events, slots, webhook, batch, dependents, job_keys, worker/head, worker/release, worker/result

counted = {successful_job_count = 0, failed_job_count = 0, total_working_time = 0}
local finished = {members = {}, executions = {}, queues = {}}

-- Nobody waits for a job and it waited for nobody, as far as Redis has the keys.
function stand_alone(words)
  local links = {}
  for _, word in ipairs(words) do
    if word.kind == 'finished' then
      links[#links + 1] = keys.JOB .. word.id .. keys.DEPENDENTS
      links[#links + 1] = keys.JOB_LINKS .. word.id .. keys.DEPENDENCIES
    end
  end
  return #links == 0 or call('EXISTS', unpack(links)) == 0
end

local function let_go_later(word, score)
  finished.members[#finished.members + 1] = word.member
  finished.executions[#finished.executions + 1] = keys.EXECUTION .. word.member
  local queue = finished.queues[word.queue] or {members = {}, scores = {}}
  finished.queues[word.queue] = queue
  queue.members[#queue.members + 1] = word.member
  queue.scores[#queue.scores + 1] = score
  queue.scores[#queue.scores + 1] = word.id
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

function finish(word, hash, found)
  local ttl = tonumber(found[2] or '') or tonumber(ARGV[5])
  if (tonumber(found[4] or '') or 0) > 0 then return 'repeats' end -- RQ's own code repeats it
  counted.successful_job_count = counted.successful_job_count + 1
  if ttl == 0 or not word.alone then
    rare.settle_dependents(word.id, 'finished')
  end
  if found[5] then note_in_batch(hash, word.id, 'finished') end
  if found[6] or WEBHOOK_URL then rare.tell_end(word.id, 'finished', found[6], word.ended_text, word.value) end
  if ttl == 0 then
    rare.release(word.id, word.execution, word.queue)
    call('DEL', keys.RESULTS .. word.id, unpack(rare.list_job_keys(word.id)))
  else
    call('HSET', hash, 'status', 'finished', 'ended_at', word.ended_text, 'last_heartbeat', word.ended_text)
    add_result(word.id, '1', word.execution, 'return_value', word.value, word.started, word.ended, ttl)
    pcall_redis('ZREM', keys.EXECUTIONS .. word.id, word.execution)
    let_go_later(word, ttl < 0 and '+inf' or math.floor(now) + ttl)
    if word.alone then
      if ttl > 0 then call('EXPIRE', hash, ttl) end
    else
      rare.expire_job(word.id, ttl)
    end
  end
  if found[3] and found[3] ~= '' then pcall(rare.free_slot, word.id, found[3]) end
  return 'finished'
end
