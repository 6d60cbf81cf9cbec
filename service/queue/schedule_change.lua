#!lua
-- Pauses a schedule, lets it go on, or deletes it. Sent twice it changes nothing.
-- ARGV  what: pause, resume or delete; its name; for resume, its token and its next slot
-- Returns 1; 0 where there is no such schedule, 'file' where a job file holds it and it can't be deleted, 'changed' where
-- its token is another.

local what, name, key = ARGV[1], ARGV[2], 'errand:schedule:' .. ARGV[2]
local score = redis.call('ZSCORE', 'errand:schedules', name)
local is_whole = redis.call('TYPE', key).ok == 'hash'
if not score or not (is_whole or what == 'delete') then return 0 end
local found = is_whole and redis.call('HMGET', key, 'source', 'token', 'paused', 'batch') or {}
if what == 'delete' then
  if found[1] == 'file' then return 'file' end
  redis.call('DEL', key, key .. ':runs', 'errand:batch:' .. (found[4] or ''))
  redis.call('ZREM', 'errand:schedules', name)
elseif what == 'pause' then
  redis.call('HSET', key, 'paused', '1')
  redis.call('ZADD', 'errand:schedules', '+inf', name)
elseif (found[2] or '') ~= ARGV[3] then
  return 'changed'
elseif found[3] == '1' then -- one that is not paused keeps a slot that is due
  redis.call('HSET', key, 'paused', '0')
  redis.call('ZADD', 'errand:schedules', ARGV[4], name)
end
return 1
