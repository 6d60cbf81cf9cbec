-- Follows enqueue.lua, which is made a function: stores a schedule's job, notes the run and sets the next slot, in one
-- step. Who comes second for a slot, a worker or a call that was sent twice, changes nothing.
-- KEYS  enqueue.lua's
-- ARGV  JSON {name, token, slot or none for a run by hand, next: a slot or '+inf', runs: [JSON, …] oldest first, job: its
--       id or none, kept: how many runs}, then enqueue.lua's
-- Returns what enqueue.lua does, '' where there is no job, or nothing where somebody was first or the schedule has changed.

local request = cjson.decode(ARGV[1])
local key = 'errand:schedule:' .. request.name
local found = redis.call('HMGET', key, 'token', 'batch')
if (found[1] or '') ~= request.token then return false end
if request.slot then
  if tonumber(redis.call('ZSCORE', 'errand:schedules', request.name) or '') ~= request.slot then return false end
elseif redis.call('EXISTS', 'rq:job:' .. request.job) == 1 then
  return redis.call('HGET', 'rq:job:' .. request.job, 'status')
end

local record, answer = 'errand:batch:' .. found[2], ''
if request.job then
  answer = enqueue(KEYS, {unpack(ARGV, 2)})
  if type(answer) == 'table' then return answer end
  -- Who ends the job notes there how; it is no batch of which a webhook could tell the end.
  redis.call('HSET', record, 'webhook', '', request.job, '')
end
for _, run in ipairs(request.runs) do redis.call('LPUSH', key .. ':runs', run) end
for _, run in ipairs(redis.call('LRANGE', key .. ':runs', request.kept, -1)) do
  local readable, old = pcall(cjson.decode, run)
  redis.call('HDEL', record, readable and type(old) == 'table' and old.job or '')
end
redis.call('LTRIM', key .. ':runs', 0, request.kept - 1)
if request.slot then
  if request.job then redis.call('HSET', key, 'last_job', request.job) end
  redis.call('ZADD', 'errand:schedules', request.next, request.name)
end
return answer
