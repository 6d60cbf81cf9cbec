-- Letting go of an execution.
-- rare
-- gives release, free_late_slot
-- include base, slots, worker/execution_records

-- Take an execution out of every record but the job's own, whatever is wrong with one of them: our lease first. Without
-- a queue it is looked for in all of them.
function rare.release(id, execution, queue)
  local member = id .. ':' .. execution
  pcall_redis('ZREM', keys.LEASES, member)
  local owner = pcall_redis('HGET', keys.EXECUTION .. member, 'worker_name')
  call('DEL', keys.EXECUTION .. member)
  pcall_redis('ZREM', keys.EXECUTIONS .. id, execution)
  if queue then
    pcall_redis('ZREM', keys.WIP .. queue, member)
  else -- the job's record is gone, and nothing but this would ever take its member out
    for _, key in ipairs(pcall_redis('SMEMBERS', keys.QUEUES)) do
      pcall_redis('ZREM', keys.WIP .. key:sub(#keys.QUEUE + 1), member)
    end
  end
  pcall_redis('SREM', name_held(type(owner) == 'string' and owner or worker), member)
end

-- The slot of a job that was canceled while it ran, with RQ's own tools; not of one that waits to run again.
function rare.free_late_slot(id, status, limit)
  if limit and limit ~= '' and status ~= 'queued' and status ~= 'rate_limited' then pcall(rare.free_slot, id, limit) end
end
