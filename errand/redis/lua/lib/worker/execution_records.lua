-- What the worker's scripts share: RQ 3.0.0's records of a job and its executions, and our leases beside them.
-- An execution is held while its member «job:execution» is in errand:leases. Whoever takes it out decides what becomes
-- of the job, so a report that comes later finds nothing and is dropped.
-- ARGV  1 the worker's name, 2 the lease in milliseconds, 3 now in RQ's format, 4 now in seconds, 5 and 6 how many
--       seconds finished and failed jobs are kept that don't say so themselves; the rest is each script's own
-- gives worker, worker_key, clock, lease_ends_ms, split, name_held
-- include base, clock

worker = ARGV[1]
worker_key = keys.WORKER .. worker
now_text, now, failure_seconds = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])
clock = call('TIME')
lease_ends_ms = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[2]

-- The job and the execution of a member.
function split(member)
  return member:match('^(.*):([^:]*)$')
end

-- The key of what a worker holds.
function name_held(worker_name)
  return keys.WORKER .. worker_name .. keys.HELD
end
