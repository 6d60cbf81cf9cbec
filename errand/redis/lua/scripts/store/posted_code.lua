#!lua
-- Notes in which code an API posts its types.
-- ARGV  for how many seconds that holds, then each type=code
-- include base

local now = tonumber(call('TIME')[1])
call('ZREMRANGEBYSCORE', keys.POSTED, '-inf', '(' .. now)
for i = 2, #ARGV do call('ZADD', keys.POSTED, 'GT', now + ARGV[1], ARGV[i]) end
