-- Jobs that can't go where they belong, since a key there is of a wrong type.
-- gives put_off

local AGAIN_SECONDS = 60 -- somebody has to mend the key first

-- Let such a job wait on its queue's schedule for so many seconds, a minute where that is not said: from there it comes
-- back to its queue, and holds up none behind it. It gives its slot back meanwhile, and asks for one when it is due.
-- Where the schedule is of a wrong type, too, the job notes its time.
function put_off(id, queue, seconds)
  local hash, due = keys.JOB .. id, math.ceil(redis.call('TIME')[1] + (seconds or AGAIN_SECONDS))
  local limit = redis.call('HGET', hash, 'rate_limit_key')
  if limit and limit ~= '' then redis.pcall('ZREM', keys.LIMIT .. limit .. keys.ALLOWED, id) end
  redis.call('HSET', hash, 'status', 'scheduled', 'origin', queue)
  local is_wrong = type(redis.pcall('ZADD', keys.SCHEDULED .. queue, due, id)) == 'table'
  if is_wrong then redis.call('HSET', hash, 'errand_due', due) end
  redis.pcall('SADD', keys.QUEUES, keys.QUEUE .. queue)
end
