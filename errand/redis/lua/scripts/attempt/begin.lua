-- Counts an attempt under a plain worker, and forgets the last one's progress and error. A job that was deleted while
-- it ran must not come back as half a hash. (Like all that plain workers send, it is no script that may write in a
-- full Redis.)
-- KEYS  the job's hash
-- Returns the job's batch, false where it has none or is gone, the time in microseconds and, each false where there is
-- none, when the job expires, by when it must then have done what, and which attempt this is.
-- include base

local clock = call('TIME')
local microseconds = clock[1] * 1000000 + clock[2]
if call('EXISTS', KEYS[1]) == 0 then return {false, microseconds, false, false, false} end
local attempt = call('HINCRBY', KEYS[1], 'errand_attempts', 1)
call('HDEL', KEYS[1], 'errand_progress', 'errand_error', 'errand_frame')
call('PUBLISH', keys.EVENTS, KEYS[1]:match('[^:]+$')) -- for those who watch the job
local found = call('HMGET', KEYS[1], 'errand_batch', 'errand_expires_at', 'errand_expires_by')
return {found[1], microseconds, found[2], found[3], attempt}
