#!lua flags=allow-oom
-- Notes that nothing was sent.
-- KEYS  the mail's record
-- ARGV  this run's word
-- include base

if call('HGET', KEYS[1], 'sending') == ARGV[1] then call('HDEL', KEYS[1], 'sending') end
