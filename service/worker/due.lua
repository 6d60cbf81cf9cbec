#!lua
-- Moves due jobs from one queue's schedule to the queue, under RQ's own scheduler lock, so that a plain
-- `rq worker --with-scheduler` beside us finds nothing to double.
-- KEYS  the lock, the schedule, the queue's list, rq:queues
-- ARGV  the prefix of job hashes, the queue's name, how many at most, the lock's lifetime in seconds, RQ's time format's now
-- Returns how many were moved.

local owner = redis.call('GET', KEYS[1])
if owner and owner ~= 'errand' then return 0 end
local due = redis.call('ZRANGE', KEYS[2], '-inf', redis.call('TIME')[1], 'BYSCORE', 'LIMIT', 0, ARGV[3])
if #due == 0 then return 0 end
redis.call('SET', KEYS[1], 'errand', 'EX', ARGV[4])
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
