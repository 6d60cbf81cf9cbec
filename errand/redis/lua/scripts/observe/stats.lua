#!lua flags=no-writes
-- Reads the counts of spans of time, and of those minutes in them that have not been rolled up.
-- ARGV  how many seconds a span has, the start of the first one, how many there are
-- Returns the time as TIME returns it, how many minutes the rollup is behind, for each span its JSON or false, and for
-- each minute that is not rolled up {its start, JSON}.
-- include base, observe/counts

local seconds, first, many = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = call('TIME')
local minute = math.floor(clock[1] / 60)
local rolled_up = pcall_redis('GET', keys.TALLY_ROLLED_UP)
rolled_up = type(rolled_up) == 'string' and tonumber(rolled_up)

local names, open = {}, {}
for i = 1, many do names[i] = keys.STATS .. seconds .. ':' .. first + (i - 1) * seconds end
local from = math.max(math.min(rolled_up or 0, minute) + 1 - LATE_MINUTES, minute - MOST_OPEN, math.floor(first / 60))
local to = math.min(minute + 1, math.floor((first + many * seconds) / 60) - 1)
for i, one in ipairs(list_open(from, to, MOST_OPEN)) do open[i] = {one * 60, write_span(read_tally(one))} end
return {clock, rolled_up and minute - 1 - rolled_up or minute, call('MGET', unpack(names)), open}
