-- The one place where a job comes into its queue's list.
-- gives push_job, wake_workers, woken
-- include base

woken = {} -- by queue: whether rq:queues has its name from this step on, 1 or 0; idle workers are to hear of it

-- Put a job at the end of its queue, or at the front. Where the list is of a wrong type it fails, with nothing done. A
-- queue whose name can't be listed has its jobs all the same.
function push_job(queue, id, at_front)
  call(at_front and 'LPUSH' or 'RPUSH', keys.QUEUE .. queue, id)
  if not woken[queue] then woken[queue] = redis.pcall('SADD', keys.QUEUES, keys.QUEUE .. queue) end
end

-- Publish to idle workers which queues have work. Every script that pushes jobs ends with this.
function wake_workers()
  for queue, _ in pairs(woken) do call('PUBLISH', keys.WORK, queue) end
end
