-- Counts the end of a job that has finished under a plain worker, and notes it in the record of its batch, where that
-- is still there.
-- KEYS  the batch's record; errand:batch: alone where the job has none
-- ARGV  the job's id, how it ended, then fields of the counts and how many of each
-- include base, observe/tally

for i = 3, #ARGV, 2 do tally(ARGV[i], tonumber(ARGV[i + 1])) end
keep_tally()
if call('HEXISTS', KEYS[1], ARGV[1]) == 1 then call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
