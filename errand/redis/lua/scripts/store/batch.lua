#!lua flags=allow-oom
-- Counts a batch's jobs by status and keeps its record alive. The record holds each job's id and, once it has ended,
-- how: jobs expire, each kind in its own time, and the counts must not change with that. It may
-- write in a full Redis, so that a batch can be read there as well.
-- KEYS  the batch's record
-- ARGV  the record's lifetime in seconds
-- Returns type, created_at and pairs of status and count, or nothing.
-- include base, store/batch

local record = call('HGETALL', KEYS[1])
if #record == 0 then return false end
local counts, news = count_batch(record)
if #news > 0 then call('HSET', KEYS[1], unpack(news)) end
call('EXPIRE', KEYS[1], ARGV[1], 'GT')
local answer = call('HMGET', KEYS[1], 'type', 'created_at')
for i = 1, 2 do answer[i] = answer[i] or '' end
for status, count in pairs(counts) do
  answer[#answer + 1] = status
  answer[#answer + 1] = count
end
return answer
