#!lua flags=allow-oom
-- Keeps a worker, what it holds and the list of its types alive.
-- ARGV  1 to 6 as lib/worker/execution_records.lua, 7 how long RQ keeps the worker's own record, in seconds, 8 how long
-- the list
--       of what it holds: an outage must not end that
-- Returns whether that record is there, for each execution held its member and the job's timeout in seconds, and the
-- time in microseconds; an execution whose lease somebody else has ended is let go, and not returned.
-- include base, clock, worker/execution_records

local held = {}
for _, member in ipairs(pcall_redis('SMEMBERS', name_held(worker))) do
  -- Where the leases are of a wrong type nobody else can end this one.
  local is_renewed = pcall_redis('ZADD', keys.LEASES, 'XX', 'CH', lease_ends_ms, member) ~= 0
  if is_renewed or call('ZSCORE', keys.LEASES, member) then
    held[#held + 1] = member
    local timeout = pcall_redis('HGET', keys.JOB .. split(member), 'timeout')
    held[#held + 1] = type(timeout) == 'string' and timeout or '180'
  else
    call('SREM', name_held(worker), member)
  end
end
call('EXPIRE', name_held(worker), ARGV[8])
call('EXPIRE', keys.TYPES .. worker, ARGV[7])
local known = call('EXISTS', worker_key)
if known == 1 then
  pcall_redis('HSET', worker_key, 'last_heartbeat', now_text)
  call('EXPIRE', worker_key, ARGV[7])
end
return {known, held, clock[1] * 1000000 + clock[2]}
