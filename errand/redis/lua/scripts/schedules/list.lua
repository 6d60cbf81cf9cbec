#!lua flags=no-writes
-- Reads schedules, each with its last run; what is damaged or gone is left out.
-- ARGV  their names, some hundred: the server does nothing else meanwhile
-- Returns for each its name, its next occurrence, its definition, source, paused, created_at and updated_at, its last
-- run as JSON, '' where there is none, and what became of that run's job, '' where it had none.
-- include base, observe/run_outcome

local answer = {}
for _, name in ipairs(ARGV) do
  local key, occurrence = keys.SCHEDULE .. name, call('ZSCORE', keys.SCHEDULES, name)
  local fields = pcall_redis('HMGET', key, 'definition', 'source', 'paused', 'created_at', 'updated_at', 'batch')
  if occurrence and not fields.err and fields[1] then
    local run = pcall_redis('LINDEX', key .. keys.RUNS, 0)
    run = type(run) == 'string' and run or ''
    for _, value in ipairs({name, occurrence, fields[1], fields[2] or '', fields[3] or '', fields[4] or '',
      fields[5] or '', run, find_fate(keys.BATCH .. (fields[6] or ''), run)}) do
      answer[#answer + 1] = value
    end
  end
end
return answer
