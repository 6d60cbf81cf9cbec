#!lua flags=allow-oom
-- Goes on with ends of jobs whose dependents were more than one script may settle, the oldest first. Any number of
-- callers may: each dependent is taken by one. Sent twice, it does two steps.
-- ARGV  how many seconds canceled jobs are kept that don't say so themselves
-- Returns 1 where there is more to do, 0 else.
-- include base, clock, time, dependents, store/end_of_step

read_time()
failure_seconds = tonumber(ARGV[1])
local is_more = rare.open_settler().go_on()
finish_step()
return is_more and 1 or 0
