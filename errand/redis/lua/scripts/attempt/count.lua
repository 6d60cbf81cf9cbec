-- Notes how a job of a batch has ended, where the batch's record is still there.
-- KEYS  the batch's record
-- ARGV  the job's id, how it ended
-- include base

if call('HEXISTS', KEYS[1], ARGV[1]) == 1 then call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
