-- What few exchanges have to do with: types that have a rate or are held, parked jobs, jobs that expire. This is what
-- is known of them; what is done about them is rare.
-- gives clock_us, rates, paces, are_held, parked, parked_count, takers, expired, expired_count
-- gives is_full, has_parked, has_expired_many
-- include worker/execution_records

local PARK_LIMIT, EXPIRED_LIMIT = 500, 200 -- in one step: the server does nothing else meanwhile
clock_us = clock[1] * 1000000 + clock[2]
rates, paces = {}, {} -- by type: {most, period_us}, and when it may start next
are_held = false -- whether any type may be held; the script says so
parked, parked_count = {}, 0 -- by queue and key, as lib/parked.lua describes them; how many this step has parked
takers = {} -- queues for which something was parked
expired, expired_count = {}, 0 -- what this step has canceled: {queue, type, how many}

-- Whether this step has parked as many as it may.
function is_full()
  return parked_count >= PARK_LIMIT
end

function has_parked(queue)
  return parked[queue] ~= nil
end

-- Whether this step has canceled as many as it may.
function has_expired_many()
  return expired_count >= EXPIRED_LIMIT
end
