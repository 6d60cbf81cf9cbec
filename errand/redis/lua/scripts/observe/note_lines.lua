#!lua
-- Writes down what jobs have logged and printed: the last lines of each. A server that is full refuses it as a whole.
-- ARGV  for each attempt its job, its execution, how many lines, and of each line its number in the attempt and the
--       rest of its JSON, after the number in the job that it gets here
-- The job's hash remembers, in errand_lines, the number of the job's last line, and whose it is with its number there:
-- a line that is sent twice is written once, and one that was dropped on its way is counted.
-- include base, events, observe/notes

local clock = call('TIME')
local notes, now_ms = rare.open_notes(), string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))

-- The number of the last line in a list whose job does not know it: RQ's own delete leaves the list, and a new job may
-- have the same id.
local function read_last(key)
  local line = call('LINDEX', key, -1)
  return line and tonumber(line:match('^{"n":(%d+),') or '') or 0
end

-- The bytes of a list's lines, as they are counted, or by looking.
local function read_bytes(key)
  local counted = tonumber(call('HGET', keys.NOTES_BYTES, key) or '')
  if counted then return counted - keys.LOG_ENTRY_BYTES end
  local bytes = 0
  for _, line in ipairs(call('LRANGE', key, 0, -1)) do bytes = bytes + #line end
  return bytes
end

local function append(id, execution, first, count)
  local hash, key = keys.JOB .. id, keys.LOGS .. id
  local found = call('HMGET', hash, 'status', 'errand_lines')
  if not found[1] then return end -- it was deleted
  local last, of, seen = (found[2] or ''):match('^(%d+) (%S+) (%d+)$')
  last = tonumber(last) or read_last(key)
  seen = of == execution and tonumber(seen) or 0
  local texts, added = {}, 0
  for i = first, first + 2 * (count - 1), 2 do
    local number = tonumber(ARGV[i])
    if number > seen then
      last, seen = last + number - seen, number
      texts[#texts + 1] = '{"n":' .. last .. ',' .. ARGV[i + 1]
      added = added + #texts[#texts]
    end
  end
  if #texts == 0 then return end
  local bytes = call('EXISTS', key) == 1 and read_bytes(key) or 0
  local size = call('RPUSH', key, unpack(texts))
  bytes = bytes + added
  while size > keys.LOG_LINES or (bytes > keys.LOG_BYTES + keys.LOG_FRAME_BYTES * size and size > 1) do
    bytes, size = bytes - #call('LPOP', key), size - 1
  end
  call('EXPIRE', key, keys.LOG_SECONDS)
  call('HSET', hash, 'errand_lines', string.format('%.0f %s %.0f', last, execution, seen))
  notes.count(key, bytes + keys.LOG_ENTRY_BYTES, now_ms)
  touch(id)
end

local at = 1
while at < #ARGV do
  local count = tonumber(ARGV[at + 2])
  pcall(append, ARGV[at], ARGV[at + 1], at + 3, count) -- one job's keys may be somebody else's
  at = at + 3 + 2 * count
end
publish_touched()
