#!lua flags=allow-oom
-- Moves due jobs from one queue's schedule to the queue, under RQ's own scheduler lock, which all our workers hold
-- together as `errand`. A plain `rq worker --with-scheduler` that held it finds at its next heartbeat, after a second
-- at most, that it lost it; until then nothing is moved, so that no job is moved twice.
-- KEYS  the lock
-- ARGV  the queue's name, how many at most, the lock's lifetime in seconds, how long taking over lasts in milliseconds
-- Returns how many were moved.
-- A job is due again in a minute where it can't be moved because a key of its concurrency limit is of a wrong type.
-- Where the queue's list is of a wrong type, nothing is moved, and the answer is the error with that key.
-- include base, clock, time, events, push, slots, store/wrong_type, store/put_off

local queue, taking_over = ARGV[1], keys.TAKEOVER .. ARGV[1]
local owner = pcall_redis('GET', KEYS[1])
if owner and owner.err then owner = nil end
call('SET', KEYS[1], 'errand', 'EX', ARGV[3])
if owner and owner ~= 'errand' then call('SET', taking_over, owner, 'PX', ARGV[4]) end
if call('EXISTS', taking_over) == 1 then return 0 end
local due = call('ZRANGE', keys.SCHEDULED .. queue, '-inf', call('TIME')[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
if #due > 0 then
  read_time()
  local wrong = name_wrong('', {keys.QUEUE .. queue, 'list'})
  if wrong ~= '' then return {err = wrong} end
end
local limits = {}

local function move(id)
  local hash = keys.JOB .. id
  -- A job deleted meanwhile is only taken off the schedule; the worker that takes a key that is no hash quarantines it.
  local kind = call('TYPE', hash).ok
  local found = kind == 'hash'
    and call('HMGET', hash, 'enqueue_at_front', 'rate_limit_key', 'rate_limit_concurrency') or {}
  if found[2] and found[2] ~= '' then
    call('HSET', hash, 'status', 'rate_limited', 'origin', queue)
    rare.wait_for_slot(found[2], found[3] or '1', id, queue)
    limits[found[2]] = true
  elseif kind ~= 'none' then
    if kind == 'hash' then call('HSET', hash, 'status', 'queued', 'enqueued_at', now_text, 'origin', queue) end
    push_job(queue, id, found[1] == '1')
  end
end

for _, id in ipairs(due) do
  touch(id)
  call('ZREM', keys.SCHEDULED .. queue, id)
  if not pcall(move, id) then put_off(id, queue) end
end
for key, _ in pairs(limits) do pcall(rare.fill_slots, key) end
wake_workers()
publish_touched()
return #due
