#!lua flags=no-writes
-- Reads one job in one round trip.
-- KEYS  the job's hash, its stream of results
-- ARGV  the prefix of the registries of scheduled jobs, then the fields to read; status, origin first
-- Returns the values, the last result (field, value, …) or nothing, and the time it is scheduled for or nothing.

local values = redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local due = false
if values[1] == 'scheduled' and values[2] then due = redis.call('ZSCORE', ARGV[1] .. values[2], KEYS[1]:match('[^:]+$')) end
return {values, last[1] and last[1][2] or false, due}
