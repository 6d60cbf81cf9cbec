#!lua flags=allow-oom
-- Hands back the executions whose lease has ended: their worker died, or can't be heard. Any number of workers may.
-- ARGV  1 to 6 as lib/worker/execution_records.lua, 7 the trace that RQ's result of a job lost too often has, 8 how
-- many at most
-- Returns each member and what became of its job.
-- include base, worker/execution_records, worker/hand_back, dependents, store/end_of_step

local fates = {}
local before = '(' .. string.format('%.0f', lease_ends_ms - ARGV[2])
for _, member in ipairs(pcall_redis('ZRANGE', keys.LEASES, '-inf', before, 'BYSCORE', 'LIMIT', 0, ARGV[8])) do
  fates[#fates + 1] = member
  fates[#fates + 1] = rare.hand_back(member, true, ARGV[7])
end
finish_step()
return fates
