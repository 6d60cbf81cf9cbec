-- RQ's concurrency limit of the jobs under one key (rq.rate_limit, RQ 3.0.0): the hash rq:rl:<key> says how many of
-- them may be queued or running, …:allowed holds those that are, …:rate_limited those that wait, oldest first.
-- rare
-- gives wait_for_slot, fill_slots, free_slot
-- include base, clock, events, push

local waited, filled = 0, 0
local REFUSED_LIMIT = 100 -- jobs passed in one step because their queue's list takes nothing: each is put back

-- Let a job wait for a slot; its status is rate_limited. How many there are is what the last POST said: `concurrency`
-- only counts where the key is new. RQ has no depth by queue of these, so the hash notes whose they are: `*` for
-- several.
function rare.wait_for_slot(key, concurrency, id, queue)
  local limit, clock = keys.LIMIT .. key, call('TIME')
  waited = waited + 1
  call('SADD', keys.LIMITS, key)
  call('HSETNX', limit, 'concurrency', concurrency)
  if call('HSETNX', limit, 'errand_queue', queue) == 0 and call('HGET', limit, 'errand_queue') ~= queue then
    call('HSET', limit, 'errand_queue', '*')
  end
  call('ZADD', limit .. keys.WAITING, string.format('%.6f', clock[1] + (clock[2] + waited) / 1000000), id)
end

-- Queue those that wait, as far as there are free slots, as RQ's ACQUIRE_AND_ENQUEUE_SCRIPT does; those that go to the
-- front keep their order there. Where many slots are free, since the limit was raised, a script fills some and what the
-- caller wants besides, and at least one of each key: each end of a job under the key goes on with the rest. Those
-- whose queue's list is of a wrong type wait on, and let others pass. Returns the name of such a queue, nothing where
-- there is none.
function rare.fill_slots(key, more)
  local limit, front, refused, are_open = keys.LIMIT .. key, {}, {}, {}
  local free = (tonumber(call('HGET', limit, 'concurrency') or '') or 0) - call('ZCARD', limit .. keys.ALLOWED)
  local most = math.max(1, keys.FILLED_AT_ONCE - filled) + (more or 0)

  local function is_open(queue)
    if are_open[queue] == nil then
      local kind = call('TYPE', keys.QUEUE .. queue).ok
      are_open[queue] = kind == 'list' or kind == 'none'
    end
    return are_open[queue]
  end

  while free > 0 and most > 0 and #refused < REFUSED_LIMIT do
    local popped = call('ZPOPMIN', limit .. keys.WAITING)
    local id = popped[1]
    if not id then break end
    local found = pcall_redis('HMGET', keys.JOB .. id, 'status', 'origin', 'enqueue_at_front')
    if not found.err and found[1] == 'rate_limited' and found[2] and not is_open(found[2]) then
      refused[#refused + 1] = {popped[2], id, found[2]}
    elseif not found.err and found[1] == 'rate_limited' and found[2] then
      call('ZADD', limit .. keys.ALLOWED, math.floor(now), id)
      call('HSET', keys.JOB .. id, 'status', 'queued', 'enqueued_at', now_text)
      if found[3] == '1' then
        table.insert(front, 1, {found[2], id})
      else
        push_job(found[2], id, false)
      end
      touch(id)
      free, most, filled = free - 1, most - 1, filled + 1
    end
  end
  for _, job in ipairs(front) do push_job(job[1], job[2], true) end
  for _, job in ipairs(refused) do call('ZADD', limit .. keys.WAITING, job[1], job[2]) end
  return refused[1] and refused[1][3]
end

-- Let another job have the slot of one that will not run, or that has ended; not while it runs.
function rare.free_slot(id, key)
  call('ZREM', keys.LIMIT .. key .. keys.WAITING, id)
  if call('ZCOUNT', keys.EXECUTIONS .. id, now, '+inf') > 0 then return end
  if call('ZREM', keys.LIMIT .. key .. keys.ALLOWED, id) == 1 then rare.fill_slots(key) end
end
