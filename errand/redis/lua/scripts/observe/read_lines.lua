#!lua flags=no-writes
-- Reads what a job has logged and printed.
-- KEYS  the job's hash, its list of lines
-- ARGV  after which number
-- Returns whether the job is there, the number of its last line or -1, and the lines, maybe some before that number
-- too. In the place of one that is too large stands its size, as a number; of very much all that stands in the place of
-- all.
-- include base

local found = pcall_redis('HMGET', KEYS[1], 'status', 'errand_lines')
local last = not found.err and tonumber((found[2] or ''):match('^%d+') or '')
local after = tonumber(ARGV[1])
local lines = {}
local size = pcall_redis('MEMORY', 'USAGE', KEYS[2], 'SAMPLES', 5)
if type(size) == 'number' and size > keys.DATA_BYTES then
  lines = {size}
elseif not last or last > after then -- no more than these: a line that was dropped on its way has a number, too
  lines = pcall_redis('LRANGE', KEYS[2], last and after - last or 0, -1)
end
for i, line in ipairs(lines) do
  if type(line) == 'string' and #line > keys.LOG_LINE_BYTES then lines[i] = #line end
end
return {found[1] and 1 or 0, last or -1, lines.err and {} or lines}
