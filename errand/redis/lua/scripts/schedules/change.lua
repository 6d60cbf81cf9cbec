#!lua
-- Pauses a schedule, lets it go on, or deletes it. Sent twice it changes nothing.
-- ARGV  what: pause, resume or delete; its name; for resume, its token and its next occurrence
-- Returns 1; 0 where there is no such schedule, 'file' where a job file holds it and it can't be deleted, 'changed'
-- where its token is another.
-- include base

local what, name, key = ARGV[1], ARGV[2], keys.SCHEDULE .. ARGV[2]
local score = call('ZSCORE', keys.SCHEDULES, name)
local is_whole = call('TYPE', key).ok == 'hash'
if not score or not (is_whole or what == 'delete') then return 0 end
local found = is_whole and call('HMGET', key, 'source', 'token', 'paused', 'batch') or {}
if what == 'delete' then
  if found[1] == 'file' then return 'file' end
  call('DEL', key, key .. keys.RUNS, keys.BATCH .. (found[4] or ''))
  call('ZREM', keys.SCHEDULES, name)
elseif what == 'pause' then
  call('HSET', key, 'paused', '1')
  call('ZADD', keys.SCHEDULES, '+inf', name)
elseif (found[2] or '') ~= ARGV[3] then
  return 'changed'
elseif found[3] == '1' then -- one that is not paused keeps an occurrence that is due
  call('HSET', key, 'paused', '0')
  call('ZADD', keys.SCHEDULES, ARGV[4], name)
end
return 1
