-- Counts of ends, by the minute, type and how long the job waited and ran: a field for each that differs, written once
-- a call. Maintenance rolls the minutes up into what is kept longer.
-- gives tally, keep_tally
-- include base

local counts = {}

-- Count `many` under a field, or microseconds.
function tally(field, many)
  counts[field] = (counts[field] or 0) + many
end

-- Every script that counts ends with this. Given are the seconds of Redis' clock, where the script has asked for them.
function keep_tally(seconds)
  if next(counts) == nil then return end
  local key = keys.TALLY .. math.floor((seconds or call('TIME')[1]) / 60)
  for field, many in pairs(counts) do redis.pcall('HINCRBY', key, field, many) end
end
