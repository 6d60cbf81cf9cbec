-- The one place where a job comes into its queue's list, and out of it untaken.
-- gives push_job, drop_job, searched, wake_workers
-- include base

local woken = {}
local NEAR = 1000
searched = 0 -- how many places of lists were looked at

-- Put a job at the end of its queue, or at the front. Of the writes the first may fail, where a key is of a wrong type.
function push_job(queue, id, at_front)
  call(at_front and 'LPUSH' or 'RPUSH', keys.QUEUE .. queue, id)
  if not woken[queue] then
    woken[queue] = true
    call('SADD', keys.QUEUES, keys.QUEUE .. queue)
  end
end

-- Take a job out of its queue's list: it is near one of the ends mostly, and the list may be very long.
function drop_job(queue, id)
  local key, reach = keys.QUEUE .. queue, NEAR
  local size = call('LLEN', key)
  while size > 0 do
    for side = 1, -1, -2 do
      searched = searched + math.min(reach, size)
      if call('LPOS', key, id, 'RANK', side, 'MAXLEN', reach) then return call('LREM', key, side, id) end
      if reach >= size then return 0 end
    end
    reach = reach * 10
  end
end

-- Tell idle workers which queues have work. Every script that pushes jobs ends with this.
function wake_workers()
  for queue, _ in pairs(woken) do call('PUBLISH', keys.WORK, queue) end
end
