-- What a worker holds where errand:leases is of a wrong type, so that nothing new starts: what runs must end all the
-- same.
-- ARGV  as lib/worker/execution_records.lua
-- gives find_held

-- Whether the execution of each report is this worker's, by RQ's own record of it, which goes with the lease.
function find_held(reports)
  local held = {}
  for i, report in ipairs(reports) do
    held[i] = redis.pcall('HGET', keys.EXECUTION .. report.member, 'worker_name') == ARGV[1]
  end
  return held
end
