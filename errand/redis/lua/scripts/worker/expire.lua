#!lua flags=allow-oom
-- Cancels jobs that have expired, wherever they wait. Any number of workers may.
-- ARGV  1 to 6 as lib/worker/execution_records.lua, 7 how many of those whose time is over to pass over, 8 how many to
-- look at at
--       most, 9 how many places of lists may be searched for them
-- Returns whether there may be more, how many were left because they run, for each queue and type {queue, type, how
-- many were canceled}, and those quarantined with the reason.
-- include base, push, take_off_queue, worker/execution_records, worker/expiry, dependents, store/end_of_step

local now_ms = string.format('%.0f', lease_ends_ms - ARGV[2])
local ids = call('ZRANGE', keys.EXPIRES, '-inf', now_ms, 'BYSCORE', 'LIMIT', ARGV[7], ARGV[8])
local looked, left, quarantined = 0, 0, {}
for _, id in ipairs(ids) do
  local fate, broken = rare.expire(id)
  looked = looked + 1
  if fate == 'runs' then left = left + 1 end
  if broken then quarantined[#quarantined + 1] = broken end
  if rare.searched > tonumber(ARGV[9]) or has_expired_many() or rare.open_settler().is_full() then break end
end
finish_step()
return {(looked < #ids or looked == tonumber(ARGV[8])) and 1 or 0, left, expired, quarantined}
