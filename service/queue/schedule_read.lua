#!lua flags=no-writes
-- Reads one schedule.
-- ARGV  its name
-- Returns its fields (name, value, …), its next slot, its runs as JSON, newest first, and what became of each run's job,
-- '' where there is none; nothing where there is no such schedule.

local key = 'errand:schedule:' .. ARGV[1]
local score = redis.call('ZSCORE', 'errand:schedules', ARGV[1])
if not score or redis.call('TYPE', key).ok ~= 'hash' then return false end
local runs, fates = redis.call('LRANGE', key .. ':runs', 0, -1), {}
local record = 'errand:batch:' .. (redis.call('HGET', key, 'batch') or '')
for i, run in ipairs(runs) do
  local readable, old = pcall(cjson.decode, run)
  local id = readable and type(old) == 'table' and old.job
  if id then
    local noted = redis.call('HGET', record, id)
    fates[i] = redis.call('HGET', 'rq:job:' .. id, 'status') or (noted ~= '' and noted) or 'deleted'
  else
    fates[i] = ''
  end
end
return {redis.call('HGETALL', key), score, runs, fates}
