#!lua flags=allow-oom
-- Notes that a mail was sent, and the job's result.
-- KEYS  the mail's record
-- ARGV  the result, for how many seconds it is kept
-- include base

call('HSETNX', KEYS[1], 'sent', ARGV[1])
call('HDEL', KEYS[1], 'sending', 'told')
call('EXPIRE', KEYS[1], ARGV[2])
