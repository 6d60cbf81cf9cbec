-- RQ's concurrency limit of the jobs under one key (rq.rate_limit, RQ 3.0.0): the hash rq:rl:<key> says how many of
-- them may be queued or running, …:allowed holds those that are, …:rate_limited those that wait, oldest first.
-- gives wait_for_slot, fill_slots, free_slot
-- include base, clock, events, push

local waited = 0

-- Let a job wait for a slot; its status is rate_limited. How many there are is what the last POST said: `concurrency` only
-- counts where the key is new. RQ has no depth by queue of these, so the hash notes whose they are: `*` for several.
function wait_for_slot(key, concurrency, id, queue)
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
-- front keep their order there.
function fill_slots(key)
  local limit, front = keys.LIMIT .. key, {}
  local free = (tonumber(call('HGET', limit, 'concurrency') or '') or 0) - call('ZCARD', limit .. keys.ALLOWED)
  while free > 0 do
    local id = call('ZPOPMIN', limit .. keys.WAITING)[1]
    if not id then break end
    local found = pcall_redis('HMGET', keys.JOB .. id, 'status', 'origin', 'enqueue_at_front')
    if not found.err and found[1] == 'rate_limited' and found[2] then
      call('ZADD', limit .. keys.ALLOWED, math.floor(now), id)
      call('HSET', keys.JOB .. id, 'status', 'queued', 'enqueued_at', now_text)
      if found[3] == '1' then
        table.insert(front, 1, {found[2], id})
      else
        push_job(found[2], id, false)
      end
      touch(id)
      free = free - 1
    end
  end
  for _, job in ipairs(front) do push_job(job[1], job[2], true) end
end

-- Let another job have the slot of one that will not run, or that has ended; not while it runs.
function free_slot(id, key)
  call('ZREM', keys.LIMIT .. key .. keys.WAITING, id)
  if call('ZCOUNT', keys.EXECUTIONS .. id, now, '+inf') > 0 then return end
  if call('ZREM', keys.LIMIT .. key .. keys.ALLOWED, id) == 1 then fill_slots(key) end
end
