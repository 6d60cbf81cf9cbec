#!lua flags=allow-oom
-- Notes that a mail was sent to all who can have it, and the job's result.
-- KEYS  the mail's record
-- ARGV  the result, for how many seconds it is kept
-- include base

local sent = call('HGET', KEYS[1], 'sent') or ARGV[1]
call('DEL', KEYS[1])
call('HSET', KEYS[1], 'sent', sent)
call('EXPIRE', KEYS[1], ARGV[2])
