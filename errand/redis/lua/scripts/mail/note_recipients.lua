#!lua flags=allow-oom
-- Notes what became of a mail for some of its recipients, while others wait.
-- KEYS  the mail's record
-- ARGV  this run's token, for how many seconds it is kept, then by twos recipients and what is known of each
-- include base

if call('HGET', KEYS[1], 'sending') == ARGV[1] then call('HDEL', KEYS[1], 'sending') end
for i = 3, #ARGV, 2 do
  local field = 'to ' .. ARGV[i]
  if call('HGET', KEYS[1], field) ~= 'sent' then call('HSET', KEYS[1], field, ARGV[i + 1], 'parts', 1) end
end
call('EXPIRE', KEYS[1], ARGV[2])
