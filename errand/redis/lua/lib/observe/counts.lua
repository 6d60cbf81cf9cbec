-- The counts of ends: of a minute as they were written (errand:tally:<minute>), and of any span as JSON, by type
-- [[how many by end], [by bucket of the wait], [by bucket of the run]]; all that was ever counted has the microseconds
-- waited and run behind these. The zeros at a list's end are left out, so that the form is small and a bound more
-- changes nothing.
-- gives LATE_MINUTES, MOST_OPEN, list_open, read_tally, add_counts, read_counts, write_counts, write_span
-- include base

local ENDS = {finished = 1, failed = 2, retried = 3, stopped = 4, interrupted = 5, lost = 6, dead = 7, canceled = 8}
local CHUNK = 100

-- A worker whose clock is behind, or whose call was late, may still write to minutes that are over.
LATE_MINUTES = 10

-- A reader looks at so many minutes that are not rolled up, and no more: the server does nothing else meanwhile.
MOST_OPEN = 200

local function note(list, place, count)
  for i = #list + 1, place do list[i] = 0 end
  list[place] = list[place] + count
end

local function find_type(counts, name)
  if not counts[name] then counts[name] = {{}, {}, {}, 0, 0} end
  return counts[name]
end

-- The minutes from `first` to `last` of which there are counts that have not been rolled up, at most so many.
function list_open(first, last, most)
  local open = {}
  while first <= last and #open < most do
    local names, to = {}, math.min(first + CHUNK - 1, last)
    for minute = first, to do names[#names + 1] = keys.TALLY .. minute end
    if call('EXISTS', unpack(names)) > 0 then
      for i, name in ipairs(names) do
        if #open < most and call('EXISTS', name) == 1 then open[#open + 1] = first + i - 1 end
      end
    end
    first = to + 1
  end
  return open
end

local function count_end(counts, name, wait, run, ending, count)
  local of_type = find_type(counts, name)
  note(of_type[1], ENDS[ending], count)
  if wait ~= '' then note(of_type[2], wait + 1, count) end
  if run ~= '' then note(of_type[3], run + 1, count) end
end

-- The counts of a minute, by type. What has another form counts nothing.
function read_tally(minute)
  local found, counts = pcall_redis('HGETALL', keys.TALLY .. minute), {}
  if found.err then return counts end
  for i = 1, #found, 2 do
    local count = tonumber(found[i + 1])
    local name, wait, run, ending = found[i]:match('^([^|]*)|(%d*)|(%d*)|(%l+)$')
    if count and ENDS[ending] then
      count_end(counts, name, wait, run, ending, count)
    elseif count then
      local timed, which = found[i]:match('^([^|]*)|([wr])$')
      if timed then
        local of_type, place = find_type(counts, timed), which == 'w' and 4 or 5
        of_type[place] = of_type[place] + count
      end
    end
  end
  return counts
end

-- Add what was counted of a type.
function add_counts(counts, name, more)
  local of_type = find_type(counts, name)
  for part = 1, 3 do
    for i, count in ipairs(more[part]) do note(of_type[part], i, count) end
  end
  for part = 4, 5 do of_type[part] = of_type[part] + more[part] end
end

local function is_sound(found)
  if type(found) ~= 'table' then return false end
  for part = 1, 3 do
    if type(found[part]) ~= 'table' then return false end
  end
  for part = 4, 5 do
    found[part] = found[part] or 0
    if type(found[part]) ~= 'number' then return false end
  end
  return true
end

-- JSON, read; what is damaged, or not there, is empty.
local function decode(text)
  if type(text) ~= 'string' then return {} end
  local readable, found = pcall(cjson.decode, text)
  return readable and type(found) == 'table' and found or {}
end

-- One type's counts of their JSON, nothing where they can't be read; of a span's, by type.
function read_counts(text, is_span)
  local found = decode(text)
  if not is_span then return is_sound(found) and found or nil end
  local counts = {}
  for name, of_type in pairs(found) do
    if type(name) == 'string' and is_sound(of_type) then counts[name] = of_type end
  end
  return counts
end

local function write_list(list)
  local texts = {}
  for i, count in ipairs(list) do texts[i] = string.format('%.0f', count) end
  return '[' .. table.concat(texts, ',') .. ']'
end

-- One type's counts as JSON. (cjson would write large numbers with 14 digits, and an empty list as {}.)
function write_counts(of_type, has_sums)
  local lists = write_list(of_type[1]) .. ',' .. write_list(of_type[2]) .. ',' .. write_list(of_type[3])
  return '[' .. lists .. (has_sums and string.format(',%.0f,%.0f]', of_type[4], of_type[5]) or ']')
end

-- The counts of a span, or of all with their sums, as JSON by type.
function write_span(counts, has_sums)
  local parts = {}
  for name, of_type in pairs(counts) do
    parts[#parts + 1] = cjson.encode(name) .. ':' .. write_counts(of_type, has_sums)
  end
  return '{' .. table.concat(parts, ',') .. '}'
end
