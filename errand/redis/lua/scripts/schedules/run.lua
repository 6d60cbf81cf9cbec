#!lua
-- Stores a schedule's job, notes the run and sets the next slot, in one step. Who comes second for a slot, a worker
-- or a call that was sent twice, changes nothing.
-- KEYS  those of `enqueue` in lib/enqueue.lua
-- ARGV  JSON {name, token, slot or none for a run by hand, next: a slot or '+inf', runs: [JSON, …] oldest first, job:
--       its id or none, kept: how many runs, skip: of a run by hand, whether it gives way to the last job}, then those
--       of `enqueue`
-- Where a key is of a wrong type nothing is done, and the answer is the error with that key.
-- Returns what `enqueue` does, '' where there is no job, {'busy', a job, its status} where that one is still there and
-- the run by hand gives way to it, or nothing where somebody was first or the schedule has changed.
-- include base, store/wrong, enqueue

local request = cjson.decode(ARGV[1])
local key = keys.SCHEDULE .. request.name
local wrong = name_wrong('', {key, 'hash', key .. keys.RUNS, 'list', keys.SCHEDULES, 'zset'})
if wrong ~= '' then return {err = wrong} end
local found = call('HMGET', key, 'token', 'batch', 'last_job')
if (found[1] or '') ~= request.token then return false end
if request.slot then
  if tonumber(call('ZSCORE', keys.SCHEDULES, request.name) or '') ~= request.slot then return false end
elseif call('EXISTS', keys.JOB .. request.job) == 1 then
  return call('HGET', keys.JOB .. request.job, 'status')
elseif request.skip and found[3] then
  local ENDED, status = keys.ENDED, pcall_redis('HGET', keys.JOB .. found[3], 'status')
  if type(status) == 'string' and not ENDED[status] then return {'busy', found[3], status} end
end

local record, answer = keys.BATCH .. found[2], ''
wrong = name_wrong('', {record, 'hash'})
if wrong ~= '' then return {err = wrong} end
if request.job then
  answer = enqueue(KEYS, {unpack(ARGV, 2)})
  if type(answer) == 'table' then return answer end
  -- Who ends the job notes there how; it is no batch of which a webhook could tell the end.
  call('HSET', record, 'webhook', '', request.job, '')
end
for _, run in ipairs(request.runs) do call('LPUSH', key .. keys.RUNS, run) end
for _, run in ipairs(call('LRANGE', key .. keys.RUNS, request.kept, -1)) do
  local readable, old = pcall(cjson.decode, run)
  call('HDEL', record, readable and type(old) == 'table' and old.job or '')
end
call('LTRIM', key .. keys.RUNS, 0, request.kept - 1)
if request.job and (request.slot or request.skip) then call('HSET', key, 'last_job', request.job) end
if request.slot then call('ZADD', keys.SCHEDULES, request.next, request.name) end
return answer
