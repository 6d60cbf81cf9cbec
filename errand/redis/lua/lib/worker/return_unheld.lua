-- Putting back what was taken and can't be held, since a key is of a wrong type: for all of it errand:leases or the
-- list of what this worker holds, for a queue's jobs rq:wip:<queue>.
-- ARGV  as lib/worker/execution_records.lua
-- gives put_back
-- include worker/end_lease

-- Put those jobs back to the front of their queues, in order, at no attempt, and wake no worker: none could start them
-- now. Returns the others, as they were described, and the executions that are left; the queues of those that went back
-- are taken out of `queues`.
function put_back(taken, started, queues, executions)
  local kept, used, left, bad = {}, {}, {}, {}

  local function is_wrong(key, expected)
    local kind = redis.call('TYPE', key).ok
    return kind ~= 'none' and kind ~= expected
  end

  local is_all = is_wrong(keys.LEASES, 'zset')
  is_all = is_wrong(keys.WORKER .. ARGV[1] .. keys.HELD, 'set') or is_all
  for _, job in ipairs(started) do
    if bad[job.queue] == nil then bad[job.queue] = is_wrong(keys.WIP .. job.queue, 'zset') or is_all end
  end

  local function put(job)
    local hash = keys.JOB .. job.id
    rare.release(job.id, job.execution, job.queue)
    redis.call('HSET', hash, 'status', 'queued')
    redis.call('HDEL', hash, 'worker_name', 'started_at')
    redis.call('HINCRBY', hash, 'errand_attempts', -1)
    if type(redis.pcall('LPUSH', keys.QUEUE .. job.queue, job.id)) == 'table' then
      -- paste store/put_off
      put_off(job.id, job.queue)
    end
  end

  for i = #started, 1, -1 do
    if bad[started[i].queue] then
      put(started[i])
    else
      table.insert(kept, 1, taken[i])
      used[started[i].execution] = true
    end
  end
  for i = #queues, 1, -1 do
    if is_all or bad[queues[i]] then table.remove(queues, i) end
  end
  for _, execution in ipairs(executions) do
    if not used[execution] then left[#left + 1] = execution end
  end
  return kept, left
end
