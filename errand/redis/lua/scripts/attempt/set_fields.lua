-- Sets fields of a job that is still there, under a plain worker.
-- KEYS  the job's hash
-- ARGV  field, value, …
-- include base

if call('EXISTS', KEYS[1]) == 0 then return end
call('HSET', KEYS[1], unpack(ARGV))
call('PUBLISH', keys.EVENTS, KEYS[1]:match('[^:]+$'))
