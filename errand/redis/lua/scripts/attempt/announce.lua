#!lua flags=allow-oom
-- Lists a job that another job has stored with RQ's own means, and wakes the idle; both may be done twice. RQ has given
-- it the times of its host.
-- ARGV  its queue, its type, its id, when it is tried again (lib/backoff.lua) or ''
-- include base, clock, time, index

local microseconds, hash = read_time(), keys.JOB .. ARGV[3]
if call('EXISTS', hash) == 1 then
  call('HSET', hash, 'created_at', now_text, 'enqueued_at', now_text)
  if ARGV[4] ~= '' then call('HSET', hash, 'errand_backoff', ARGV[4]) end
end
add_to_indexes(ARGV[1], ARGV[2], {}, {string.format('%.0f', microseconds), ARGV[3]})
call('PUBLISH', keys.WORK, ARGV[1])
