#!lua flags=allow-oom
-- Moves due jobs from one queue's schedule to the queue, under RQ's own scheduler lock, which all our workers hold
-- together as `errand`. A plain `rq worker --with-scheduler` that held it finds at its next heartbeat, after a second at
-- most, that it lost it; until then nothing is moved, so that no job is moved twice.
-- KEYS  the lock, the schedule, the queue's list, rq:queues, the key that lasts while the lock is being taken over
-- ARGV  the prefix of job hashes, the queue's name, how many at most, the lock's lifetime in seconds, RQ's time format's
--       now, how long taking over lasts in milliseconds
-- Returns how many were moved.

local owner = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], 'errand', 'EX', ARGV[4])
if owner and owner ~= 'errand' then redis.call('SET', KEYS[5], owner, 'PX', ARGV[6]) end
if redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
local due = redis.call('ZRANGE', KEYS[2], '-inf', redis.call('TIME')[1], 'BYSCORE', 'LIMIT', 0, ARGV[3])
if #due == 0 then return 0 end
redis.call('SADD', KEYS[4], KEYS[3])
for _, id in ipairs(due) do
  local hash = ARGV[1] .. id
  redis.call('ZREM', KEYS[2], id)
  -- A job deleted meanwhile is only taken off the schedule; a key that is no hash is the worker's to set aside.
  local kind = redis.call('TYPE', hash).ok
  if kind == 'hash' then redis.call('HSET', hash, 'status', 'queued', 'enqueued_at', ARGV[5], 'origin', ARGV[2]) end
  local front = kind == 'hash' and redis.call('HGET', hash, 'enqueue_at_front') == '1'
  if kind ~= 'none' then redis.call(front and 'LPUSH' or 'RPUSH', KEYS[3], id) end
end
redis.call('PUBLISH', 'errand:work', ARGV[2])
return #due
