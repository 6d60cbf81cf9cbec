-- Types that may start so often and no more: errand:rates has for each when the next one is due, in microseconds, and
-- errand:starts:<type> its last starts, newest first. The first lets them start evenly (GCRA), but for 50 ms that a
-- late one may make good; the second keeps to the limit exactly, for any window of the period's length. A job that
-- may not start yet is parked in errand:rated:<queue>:<type>, in its turn; errand:rated lists these keys. Its status
-- stays queued.
-- gives clock_us, rates, find_start, note_start, keep_starts, park, is_full, has_parked, read_parked, pop_parked, tell_wait
-- include base, worker/head

clock_us = clock[1] * 1000000 + clock[2]
local LATE_US, PARK_LIMIT = 50000, 500
local parked, paces, front_scores = {}, {}, {}
rates = {} -- by type: {most, period_us}
local parked_count = 0

-- When a type may start next, in microseconds.
function find_start(type)
  local rate, pace = rates[type], paces[type]
  if not pace then
    pace = {due = tonumber(call('HGET', keys.RATES, type) or '') or 0, count = 0}
    if pace.due - clock_us > rate.period_us + LATE_US then pace.due = 0 end -- the server's clock was set back
    paces[type] = pace
  end
  if not pace.at then
    local oldest = clock_us
    if pace.count < rate.most then
      oldest = tonumber(call('LINDEX', keys.STARTS .. type, rate.most - pace.count - 1) or '')
    end
    pace.at = pace.due
    if oldest and oldest <= clock_us then pace.at = math.max(pace.due, oldest + rate.period_us) end
  end
  return pace.at
end

function note_start(type)
  local pace = paces[type]
  pace.count, pace.at = pace.count + 1, nil
  pace.due = math.max(pace.due, clock_us - LATE_US) + rates[type].period_us / rates[type].most
end

function keep_starts()
  for type, pace in pairs(paces) do
    if pace.count > 0 then
      local key, starts = keys.STARTS .. type, {}
      for i = 1, pace.count do starts[i] = string.format('%.0f', clock_us) end
      call('HSET', keys.RATES, type, string.format('%.0f', pace.due))
      call('LPUSH', key, unpack(starts))
      call('LTRIM', key, 0, rates[type].most - 1)
      call('PEXPIRE', key, math.ceil(rates[type].period_us / 1000) + 1000)
    end
  end
end

-- Those that were handed back, or asked for the front, go before the others.
function park(id, queue, type)
  local key = keys.PARK .. queue .. ':' .. type
  local found = call('HMGET', keys.JOB .. id, 'enqueue_at_front', 'errand_interruptions', 'errand_losses')
  local score = clock_us
  if found[1] == '1' or found[2] or found[3] then
    front_scores[key] = front_scores[key] or (call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or clock_us) - 1000000
    score = front_scores[key]
  end
  call('ZADD', key, string.format('%.0f', score + parked_count), id)
  call('SADD', keys.PARKED, key)
  parked_count = parked_count + 1
  parked[queue] = parked[queue] or {}
  parked[queue][type] = key
end

-- Whether this step has parked as many as it may.
function is_full()
  return parked_count >= PARK_LIMIT
end

-- What is parked, by queue and type.
function read_parked()
  for _, key in ipairs(call('SMEMBERS', keys.PARKED)) do
    local queue, type = key:match('^' .. keys.PARK .. '(.*):([^:]*)$')
    parked[queue] = parked[queue] or {}
    parked[queue][type] = key
  end
end

function has_parked(queue)
  return parked[queue] ~= nil
end

-- Return the next parked job of a queue that may start; one whose type has no rate any more may at once.
function pop_parked(queue)
  for type, key in pairs(parked[queue] or {}) do
    if not rates[type] or find_start(type) <= clock_us then
      local id = call('ZPOPMIN', key)[1]
      if id then return {id} end
      call('SREM', keys.PARKED, key)
      parked[queue][type] = nil
    end
  end
end

-- In how many milliseconds one of the parked may start; -1 where there are none.
function tell_wait(queues)
  if is_full() then return 0 end -- there may be others behind them
  local soonest
  for _, queue in ipairs(queues) do
    for type, _ in pairs(parked[queue] or {}) do
      local at = rates[type] and find_start(type) or clock_us
      soonest = math.min(soonest or at, at)
    end
  end
  return soonest and math.max(0, math.ceil((soonest - clock_us) / 1000)) or -1
end
