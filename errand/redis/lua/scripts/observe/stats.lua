#!lua flags=no-writes
-- Reads the counts of spans of time, and of those minutes in them that have not been folded.
-- ARGV  how many seconds a span has, the start of the first one, how many there are
-- Returns the time as TIME returns it, how many minutes the fold is behind, for each span its JSON or false, and for
-- each minute that is not folded {its start, JSON}.
-- include base, observe/counts

local MOST_OPEN = 200

local seconds, first, many = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = call('TIME')
local minute = math.floor(clock[1] / 60)
local folded = pcall_redis('GET', keys.TALLY_FOLDED)
folded = type(folded) == 'string' and tonumber(folded)

local names, open = {}, {}
for i = 1, many do names[i] = keys.STATS .. seconds .. ':' .. first + (i - 1) * seconds end
local from = math.max(math.min(folded or 0, minute) + 1 - LATE_MINUTES, minute - MOST_OPEN, math.floor(first / 60))
local to = math.min(minute + 1, math.floor((first + many * seconds) / 60) - 1)
for i, one in ipairs(list_open(from, to, MOST_OPEN)) do open[i] = {one * 60, write_span(read_tally(one))} end
return {clock, folded and minute - 1 - folded or minute, call('MGET', unpack(names)), open}
