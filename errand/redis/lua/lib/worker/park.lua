-- Parking jobs that may not start, and taking them from there: see lib/parked.lua.
-- rare
-- gives park, read_parked, pop_parked, find_rated_wait, wake_takers, note_taker
-- include base, clock, events, parked, worker/exchange_state, worker/rates, worker/types, worker/hold_types

local front_scores, reasons = {}, {}

local function remember(park)
  parked[park.queue] = parked[park.queue] or {}
  parked[park.queue][park.key] = park
end

-- The parks of all queues.
function rare.read_parked()
  for _, park in ipairs(rare.list_parked()) do remember(park) end
end

-- Park a job, or put it off where it can't be parked. One that was handed back, or asked for the front, goes before the
-- others, but not to probe what is down.
function rare.park(id, there)
  local hash, key, score = keys.JOB .. id, there.key, clock_us
  local found = call('HMGET', hash, 'enqueue_at_front', 'errand_interruptions', 'errand_losses')
  if not there.service and (found[1] == '1' or found[2] or found[3]) then
    front_scores[key] = front_scores[key] or (redis.pcall('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or clock_us) - 1000000
    score = front_scores[key]
  end
  parked_count = parked_count + 1
  local is_listed = type(redis.pcall('SADD', there.names, key)) == 'number'
  if not is_listed or type(redis.pcall('ZADD', key, string.format('%.0f', score + parked_count), id)) == 'table' then
    -- paste store/put_off
    return put_off(id, there.queue)
  end
  remember(there)
  if there.codes then
    reasons[key] = reasons[key] or {rare.describe_park(there)}
    local reason, since = unpack(reasons[key])
    call('HSET', hash, 'errand_parked', cjson.encode({key = key, reason = reason, since = since or now_text}))
    touch(id)
    rare.note_taker(there.queue)
  end
end

-- Let idle workers of a queue be woken at the end of this step.
function rare.note_taker(queue)
  takers[queue] = true
end

-- Whether this worker can run what is parked there.
local function can_run(there)
  local code = find_code(there.type)
  return code and not (there.codes and there.codes:find(code, 1, true)) and rare.may_probe(there.type)
end

-- Return the next parked job of a queue that this worker may start: of all its parks the one that was parked first.
function rare.pop_parked(queue)
  local next_up, parked_at
  for key, there in pairs(parked[queue] or {}) do
    if can_run(there) and rare.may_start(there.type) then
      local score = tonumber(redis.pcall('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or '')
      if not score then
        redis.pcall('SREM', there.names, key)
        parked[queue][key] = nil
      elseif not parked_at or score < parked_at then
        next_up, parked_at = there, score
      end
    end
  end
  if not next_up then return nil end
  local id = call('ZPOPMIN', next_up.key)[1]
  if next_up.codes then pcall_redis('HDEL', keys.JOB .. id, 'errand_parked') end
  return {id}
end

-- In how many milliseconds this worker may start one of the parked; -1 where there are none.
function rare.find_rated_wait(queues)
  if is_full() then return 0 end -- there may be others behind them
  local soonest
  for _, queue in ipairs(queues) do
    for _, there in pairs(parked[queue] or {}) do
      if can_run(there) then
        local at = rates[there.type] and rare.find_start(there.type) or clock_us
        soonest = at < math.huge and math.min(soonest or at, at) or soonest
      end
    end
  end
  return soonest and math.max(0, math.ceil((soonest - clock_us) / 1000)) or -1
end

-- Wake idle workers for what was parked for them.
function rare.wake_takers()
  for queue, _ in pairs(takers) do call('PUBLISH', keys.WORK, queue) end
end
