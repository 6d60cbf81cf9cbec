#!lua flags=no-writes
-- Reads one job for those who watch it: with how much it has logged.
-- KEYS  the job's hash, its stream of results
-- Returns JSON, as lib/store/status.lua describes it.
-- include store/status

return describe_status(KEYS[1], KEYS[2], true)
