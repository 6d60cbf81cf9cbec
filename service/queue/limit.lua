-- RQ's concurrency limit of the jobs under one key (rq.rate_limit, RQ 3.0.0): the hash rq:rl:<key> says how many of them
-- may be queued or running, …:allowed holds those that are, …:rate_limited those that wait, oldest first. A script has
-- this text where it says «include limit.lua», after touched.lua.

local waited = 0

-- Let a job wait for a slot; its status is rate_limited. How many there are is what the last POST said: `concurrency` only
-- counts where the key is new. RQ has no depth by queue of these, so the hash notes whose they are: `*` for several.
local function wait_for_slot(key, concurrency, id, queue)
  local limit, clock = 'rq:rl:' .. key, redis.call('TIME')
  waited = waited + 1
  redis.call('SADD', 'rq:rl-keys', key)
  redis.call('HSETNX', limit, 'concurrency', concurrency)
  if redis.call('HSETNX', limit, 'errand_queue', queue) == 0 and redis.call('HGET', limit, 'errand_queue') ~= queue then
    redis.call('HSET', limit, 'errand_queue', '*')
  end
  redis.call('ZADD', limit .. ':rate_limited', string.format('%.6f', clock[1] + (clock[2] + waited) / 1000000), id)
end

-- Queue those that wait, as far as there are free slots, as RQ's ACQUIRE_AND_ENQUEUE_SCRIPT does; those that go to the
-- front keep their order there.
local function fill_slots(key, now, now_text, woken)
  local limit, front = 'rq:rl:' .. key, {}
  local free = (tonumber(redis.call('HGET', limit, 'concurrency') or '') or 0) - redis.call('ZCARD', limit .. ':allowed')
  while free > 0 do
    local id = redis.call('ZPOPMIN', limit .. ':rate_limited')[1]
    if not id then break end
    local found = redis.pcall('HMGET', 'rq:job:' .. id, 'status', 'origin', 'enqueue_at_front')
    if not found.err and found[1] == 'rate_limited' and found[2] then
      redis.call('ZADD', limit .. ':allowed', math.floor(now), id)
      redis.call('HSET', 'rq:job:' .. id, 'status', 'queued', 'enqueued_at', now_text)
      if found[3] == '1' then
        table.insert(front, 1, {'rq:queue:' .. found[2], id})
      else
        redis.call('RPUSH', 'rq:queue:' .. found[2], id)
      end
      woken[found[2]] = true
      touch(id)
      free = free - 1
    end
  end
  for _, job in ipairs(front) do redis.call('LPUSH', job[1], job[2]) end
end

