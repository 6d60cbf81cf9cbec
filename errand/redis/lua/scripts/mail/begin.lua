#!lua flags=allow-oom
-- Notes that a run begins to send a mail.
-- KEYS  the mail's record
-- ARGV  the token of a run that was seen before ('' for none), this run's token, for how many seconds it is kept,
--       then by twos recipients and what was seen of each; none: all, and nothing is known of any
-- Returns 1, or 0 where another run got ahead.
-- include base

local sent, sending, parts = unpack(call('HMGET', KEYS[1], 'sent', 'sending', 'parts'))
if sending == ARGV[2] then return 1 end
if sent or (sending and sending ~= ARGV[1]) or (parts and #ARGV == 3) then return 0 end
for i = 4, #ARGV, 2 do
  if (call('HGET', KEYS[1], 'to ' .. ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
call('HSET', KEYS[1], 'sending', ARGV[2])
for i = 4, #ARGV, 2 do call('HSET', KEYS[1], 'to ' .. ARGV[i], ARGV[2], 'parts', 1) end
call('HDEL', KEYS[1], 'told')
call('EXPIRE', KEYS[1], ARGV[3])
return 1
