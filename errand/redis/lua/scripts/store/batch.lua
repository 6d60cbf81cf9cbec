#!lua flags=allow-oom
-- Counts a batch's jobs by status and keeps its record alive. The record holds each job's id and, once it has ended,
-- how: jobs expire, each kind in its own time, and the counts must not change with that. A full Redis is no
-- reason to tell nothing.
-- KEYS  the batch's record
-- ARGV  the record's lifetime in seconds
-- Returns type, created_at and pairs of status and count, or nothing.
-- include base

local record = call('HGETALL', KEYS[1])
if #record == 0 then return false end
local ENDED = keys.ENDED
local counts, answer = {}, {'', ''}
for i = 1, #record, 2 do
  local id, kept = record[i], record[i + 1]
  if id == 'type' then answer[1] = kept
  elseif id == 'created_at' then answer[2] = kept
  elseif id ~= 'webhook' and id ~= 'webhook_waits_for' then
    local status = call('HGET', keys.JOB .. id, 'status') or (kept ~= '' and kept) or 'deleted'
    if ENDED[status] and status ~= kept then call('HSET', KEYS[1], id, status) end
    counts[status] = (counts[status] or 0) + 1
  end
end
call('EXPIRE', KEYS[1], ARGV[1], 'GT')
for status, count in pairs(counts) do
  answer[#answer + 1] = status
  answer[#answer + 1] = count
end
return answer
