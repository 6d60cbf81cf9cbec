-- The one place where a job comes into its queue's list.
-- gives push_job, wake_workers
-- include base

local woken = {}

-- Put a job at the end of its queue, or at the front. Of the writes the first may fail, where a key is of a wrong type.
function push_job(queue, id, at_front)
  call(at_front and 'LPUSH' or 'RPUSH', keys.QUEUE .. queue, id)
  if not woken[queue] then
    woken[queue] = true
    call('SADD', keys.QUEUES, keys.QUEUE .. queue)
  end
end

-- Tell idle workers which queues have work. Every script that pushes jobs ends with this.
function wake_workers()
  for queue, _ in pairs(woken) do call('PUBLISH', keys.WORK, queue) end
end
