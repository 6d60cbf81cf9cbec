#!lua
-- Tries what storing does, and leaves nothing behind: whatever the server would refuse then, it refuses here.
-- include base

call('DEL', keys.PROBE, keys.JOB .. 'probe')
call('PUBLISH', keys.PROBE, '')
