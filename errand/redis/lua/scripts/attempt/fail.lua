-- Counts an attempt that has failed under a plain worker, and stores its error on the job where that is still there.
-- KEYS  the job's hash
-- ARGV  the error, where in the job's own code it came from, then fields of the counts and how many of each
-- include base, observe/tally

for i = 3, #ARGV, 2 do tally(ARGV[i], tonumber(ARGV[i + 1])) end
keep_tally()
if call('EXISTS', KEYS[1]) == 0 then return end
call('HSET', KEYS[1], 'errand_error', ARGV[1], 'errand_frame', ARGV[2])
call('PUBLISH', keys.EVENTS, KEYS[1]:match('[^:]+$'))
