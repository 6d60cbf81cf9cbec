#!lua flags=allow-oom
-- Notes that a webhook's URL wants no more.
-- KEYS  the note of its URL
-- ARGV  for how many seconds
-- Returns since when, as RQ keeps times.
-- include base, clock, time

read_time()
call('SET', KEYS[1], now_text, 'EX', ARGV[1])
return now_text
