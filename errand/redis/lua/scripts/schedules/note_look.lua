#!lua
-- Notes that a worker serves the schedules of its types, by the server's clock; only while some are due, for before
-- that there is nothing to miss. A type that nobody has served for so long begins anew.
-- ARGV  for how many seconds that holds, the types
-- Returns for each type since when it is served without a break, in seconds.
-- include base

local now, answer = call('TIME')[1], {}
for i = 2, #ARGV do
  local key = keys.LOOKED .. ARGV[i]
  local since = pcall_redis('GETEX', key, 'EX', ARGV[1])
  if type(since) ~= 'string' or not since:match('^%d+$') then
    since = now
    call('SET', key, now, 'EX', ARGV[1])
  end
  answer[i - 1] = since
end
return answer
