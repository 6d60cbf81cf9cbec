#!lua flags=no-writes
-- Reads one job.
-- KEYS  the job's hash, its stream of results
-- Returns JSON, as lib/status.lua describes it.
-- include status

return describe_status(KEYS[1], KEYS[2])
