#!lua
-- Stores jobs, all or none, whose payloads lie whole in their records.
-- KEYS, ARGV  those of `enqueue` in lib/enqueue.lua
-- Returns what it does.
-- include enqueue

return enqueue(KEYS, ARGV)
