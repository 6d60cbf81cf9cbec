#!lua flags=no-writes
-- Reads one job.
-- KEYS  the job's hash, its stream of results
-- Returns JSON, as lib/store/status.lua describes it.
-- include store/status

return describe_status(KEYS[1], KEYS[2])
