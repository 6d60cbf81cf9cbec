#!lua flags=allow-oom
-- Notes that nothing was sent.
-- KEYS  the mail's record
-- ARGV  this run's token, then those the mail would have gone to, unless it was to all
-- include base

if call('HGET', KEYS[1], 'sending') == ARGV[1] then call('HDEL', KEYS[1], 'sending') end
for i = 2, #ARGV do
  if call('HGET', KEYS[1], 'to ' .. ARGV[i]) == ARGV[1] then call('HDEL', KEYS[1], 'to ' .. ARGV[i]) end
end
