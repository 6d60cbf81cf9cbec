#!lua
-- Stores a job of a schedule that is run by hand, and notes the run, in one step. Sent twice it changes nothing.
-- KEYS  those of `enqueue` in lib/enqueue.lua
-- ARGV  JSON {name, token, run: JSON, job: its id, kept: how many runs, skip: whether it gives way to the last job},
--       then those of `enqueue`
-- Where a key is of a wrong type nothing is done, and the answer is the error with that key.
-- Returns what `enqueue` does, {'busy', a job, its status} where that one is still there and this gives way to it, or
-- nothing where the schedule has changed.
-- include base, store/wrong_type, enqueue, store/runs

local request = cjson.decode(ARGV[1])
local key = keys.SCHEDULE .. request.name
local wrong = name_wrong('', {key, 'hash', key .. keys.RUNS, 'list'})
if wrong ~= '' then return {err = wrong} end
local found = call('HMGET', key, 'token', 'batch', 'last_job')
if (found[1] or '') ~= request.token then return false end
if call('EXISTS', keys.JOB .. request.job) == 1 then return call('HGET', keys.JOB .. request.job, 'status') end
if request.skip and found[3] then
  local ENDED, status = keys.ENDED, pcall_redis('HGET', keys.JOB .. found[3], 'status')
  if type(status) == 'string' and not ENDED[status] then return {'busy', found[3], status} end
end

local record = keys.BATCH .. found[2]
wrong = name_wrong('', {record, 'hash'})
if wrong ~= '' then return {err = wrong} end
local answer = enqueue(KEYS, {unpack(ARGV, 2)})
if type(answer) == 'table' then return answer end
trim_runs(key, record, add_runs(key, record, {request.run}, request.job), request.kept)
if request.skip then call('HSET', key, 'last_job', request.job) end
return answer
