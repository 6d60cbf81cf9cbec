#!lua flags=allow-oom
-- Notes that a run begins to send a mail.
-- KEYS  the mail's record
-- ARGV  the run's word that was seen before ('' for none), this run's word, for how many seconds it is kept
-- Returns 1, or 0 where another run got ahead.
-- include base

local sent, sending = unpack(call('HMGET', KEYS[1], 'sent', 'sending'))
if sending == ARGV[2] then return 1 end
if sent or (sending and sending ~= ARGV[1]) then return 0 end
call('HSET', KEYS[1], 'sending', ARGV[2])
call('HDEL', KEYS[1], 'told')
call('EXPIRE', KEYS[1], ARGV[3])
return 1
