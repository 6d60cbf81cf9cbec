#!lua flags=no-writes
-- Reads one schedule.
-- ARGV  its name
-- Returns its fields (name, value, …), its next occurrence, its runs as JSON, newest first, and what became of each
-- run's job, '' where there is none; nothing where there is no such schedule.
-- include base, observe/run_outcome

local key = keys.SCHEDULE .. ARGV[1]
local score = call('ZSCORE', keys.SCHEDULES, ARGV[1])
if not score or call('TYPE', key).ok ~= 'hash' then return false end
local runs, fates = call('LRANGE', key .. keys.RUNS, 0, -1), {}
local record = keys.BATCH .. (call('HGET', key, 'batch') or '')
for i, run in ipairs(runs) do fates[i] = find_fate(record, run) end
return {call('HGETALL', key), score, runs, fates}
