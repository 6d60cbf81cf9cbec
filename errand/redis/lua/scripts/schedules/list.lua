#!lua flags=no-writes
-- Reads all schedules, each with its last run; what is damaged is left out.
-- Returns for each its name, its next slot, its definition, source, paused, created_at and updated_at, its last run as
-- JSON, '' where there is none, and what became of that run's job, '' where it had none.
-- include base, observe/fate

local found, answer = call('ZRANGE', keys.SCHEDULES, 0, -1, 'WITHSCORES'), {}
for i = 1, #found, 2 do
  local key = keys.SCHEDULE .. found[i]
  local fields = pcall_redis('HMGET', key, 'definition', 'source', 'paused', 'created_at', 'updated_at', 'batch')
  if not fields.err and fields[1] then
    local run = pcall_redis('LINDEX', key .. keys.RUNS, 0)
    run = type(run) == 'string' and run or ''
    for _, value in ipairs({found[i], found[i + 1], fields[1], fields[2] or '', fields[3] or '', fields[4] or '',
      fields[5] or '', run, tell_fate(keys.BATCH .. (fields[6] or ''), run)}) do
      answer[#answer + 1] = value
    end
  end
end
return answer
