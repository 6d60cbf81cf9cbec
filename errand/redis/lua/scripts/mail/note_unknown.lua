#!lua flags=allow-oom
-- Notes after which of RQ's results it was reported that nobody knows what became of a mail.
-- KEYS  the mail's record
-- ARGV  the token of the run that began to send it, the id of RQ's newest result, one of those it went to
-- include base

if call('HGET', KEYS[1], 'sending') == ARGV[1] or call('HGET', KEYS[1], 'to ' .. ARGV[3]) == ARGV[1] then
  call('HSET', KEYS[1], 'told', ARGV[2])
end
