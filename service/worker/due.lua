#!lua flags=allow-oom
-- Moves due jobs from one queue's schedule to the queue, under RQ's own scheduler lock, which all our workers hold
-- together as `errand`. A plain `rq worker --with-scheduler` that held it finds at its next heartbeat, after a second at
-- most, that it lost it; until then nothing is moved, so that no job is moved twice.
-- KEYS  the lock, the schedule, the queue's list, rq:queues, the key that lasts while the lock is being taken over
-- ARGV  the prefix of job hashes, the queue's name, how many at most, the lock's lifetime in seconds, RQ's time format's
--       now, how long taking over lasts in milliseconds
-- Returns how many were moved.

-- include touched.lua

-- include limit.lua

local owner = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], 'errand', 'EX', ARGV[4])
if owner and owner ~= 'errand' then redis.call('SET', KEYS[5], owner, 'PX', ARGV[6]) end
if redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
local due = redis.call('ZRANGE', KEYS[2], '-inf', redis.call('TIME')[1], 'BYSCORE', 'LIMIT', 0, ARGV[3])
if #due == 0 then return 0 end
redis.call('SADD', KEYS[4], KEYS[3])
local limits = {}
for _, id in ipairs(due) do
  local hash = ARGV[1] .. id
  redis.call('ZREM', KEYS[2], id)
  touch(id)
  -- A job deleted meanwhile is only taken off the schedule; a key that is no hash is the worker's to set aside.
  local kind = redis.call('TYPE', hash).ok
  local found = kind == 'hash'
    and redis.call('HMGET', hash, 'enqueue_at_front', 'rate_limit_key', 'rate_limit_concurrency') or {}
  if found[2] and found[2] ~= '' then
    redis.call('HSET', hash, 'status', 'rate_limited', 'origin', ARGV[2])
    wait_for_slot(found[2], found[3] or '1', id, ARGV[2])
    limits[found[2]] = true
  elseif kind ~= 'none' then
    if kind == 'hash' then redis.call('HSET', hash, 'status', 'queued', 'enqueued_at', ARGV[5], 'origin', ARGV[2]) end
    redis.call(found[1] == '1' and 'LPUSH' or 'RPUSH', KEYS[3], id)
  end
end
local woken = {[ARGV[2]] = true}
for key, _ in pairs(limits) do fill_slots(key, redis.call('TIME')[1], ARGV[5], woken) end
for queue, _ in pairs(woken) do redis.call('PUBLISH', 'errand:work', queue) end
tell_touched()
return #due
