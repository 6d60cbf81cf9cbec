-- Types that may start so often and no more: errand:rates has for each when the next one is due, in microseconds, and
-- errand:starts:<type> its last starts, newest first. The first lets them start evenly (GCRA), but for 50 ms that a
-- late one may make good; the second keeps to the limit exactly, for any window of the period's length. A job that
-- may not start yet is parked, in its turn; its status stays queued.
-- rare
-- gives may_start, find_start, note_start, keep_starts
-- include base, worker/exchange_state

local LATE_US = 50000 -- what a runner's round may take: without it each late start would slow the type down

-- When a type may start next, in microseconds; never as long as one of these keys is of a wrong type.
function rare.find_start(type)
  local rate, pace = rates[type], paces[type]
  if not pace then
    local due = redis.pcall('HGET', keys.RATES, type)
    pace = {due = due and due.err and math.huge or tonumber(due or '') or 0, count = 0}
    -- The server's clock was set back.
    if pace.due < math.huge and pace.due - clock_us > rate.period_us + LATE_US then pace.due = 0 end
    paces[type] = pace
  end
  if not pace.at then
    local oldest = clock_us
    if pace.count < rate.most then
      local found = redis.pcall('LINDEX', keys.STARTS .. type, rate.most - pace.count - 1)
      if found and found.err then pace.due, found = math.huge, false end
      oldest = tonumber(found or '')
    end
    pace.at = pace.due
    if oldest and oldest <= clock_us then pace.at = math.max(pace.due, oldest + rate.period_us) end
  end
  return pace.at
end

function rare.note_start(type)
  local pace = paces[type]
  pace.count, pace.at = pace.count + 1, nil
  pace.due = math.max(pace.due, clock_us - LATE_US) + rates[type].period_us / rates[type].most
end

function rare.keep_starts()
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

-- Whether a job of the type may start now.
function rare.may_start(type)
  return not rates[type] or rare.find_start(type) <= clock_us
end
