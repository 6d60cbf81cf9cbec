#!lua flags=allow-oom
-- Lists a job that another job has stored with RQ's own means, and wakes the idle; both may be done twice.
-- ARGV  its queue, its type, its id, when it was created in microseconds
-- include base, index

add_to_indexes(ARGV[1], ARGV[2], {}, {ARGV[4], ARGV[3]})
call('PUBLISH', keys.WORK, ARGV[1])
