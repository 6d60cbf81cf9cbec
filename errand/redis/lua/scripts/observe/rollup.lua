#!lua flags=allow-oom
-- Takes the counts of minutes that are over to where they are kept: added to all that was ever counted, and to their
-- minute, five minutes and hour. A minute's own hash goes in the same step, so nothing counts twice and nothing gets
-- lost, whoever calls, and whenever: where the rollup has come to only says which minutes need not be looked for.
-- ARGV  how many minutes to look at at most, how many to take at most
-- Returns how many minutes are left to be looked at.
-- include base, observe/counts

local UNKNOWN_MINUTES = 24 * 60 -- so far back to look where nobody has rolled up yet
local KEPT = {[60] = keys.STATS_MINUTES_SECONDS, [300] = keys.STATS_FIVES_SECONDS, [3600] = keys.STATS_HOURS_SECONDS}

local now = tonumber(call('TIME')[1])
local last = math.floor(now / 60) - 1
local found = pcall_redis('GET', keys.TALLY_ROLLED_UP)
local rolled_up = type(found) == 'string' and tonumber(found) or last - UNKNOWN_MINUTES
local totals, spans, known = {}, {}, nil

-- The name under which a type is counted: only so many have their own.
local function name_type(name)
  if not known then
    known = {}
    local names = pcall_redis('HKEYS', keys.TOTALS)
    if names.err then
      call('DEL', keys.TOTALS) -- not a hash, so not ours
      names = {}
    end
    for _, one in ipairs(names) do known[one] = true end
    known.count = #names
  end
  if not known[name] then
    if known.count >= keys.COUNTED_TYPES_LIMIT then return 'other' end
    known[name], known.count = true, known.count + 1
  end
  return name
end

local function find_span(seconds, minute)
  local start = minute * 60 - minute * 60 % seconds
  local lifetime = start + 3 * seconds + KEPT[seconds] - now
  if lifetime <= 0 then return nil end
  local key = keys.STATS .. seconds .. ':' .. start
  if not spans[key] then
    -- Of a time to come, as after the clock was set back, it is not kept for longer.
    spans[key] = {lifetime = math.min(lifetime, KEPT[seconds] + 3 * seconds),
      counts = read_counts(pcall_redis('GET', key), true)}
  end
  return spans[key].counts
end

local function take(minute)
  for name, of_type in pairs(read_tally(minute)) do
    name = name_type(name)
    if not totals[name] then totals[name] = read_counts(pcall_redis('HGET', keys.TOTALS, name)) end
    add_counts(totals, name, of_type)
    for seconds in pairs(KEPT) do
      local counts = find_span(seconds, minute)
      if counts then add_counts(counts, name, of_type) end
    end
  end
  call('DEL', keys.TALLY .. minute)
end

local function keep()
  for name, of_type in pairs(totals) do call('HSET', keys.TOTALS, name, write_counts(of_type, true)) end
  for key, span in pairs(spans) do
    call('SET', key, write_span(span.counts), 'EX', string.format('%d', span.lifetime))
  end
end

local most = tonumber(ARGV[2])
if rolled_up > last then -- the clock was set back
  for _, minute in ipairs(list_open(rolled_up - LATE_MINUTES, rolled_up + 1, most)) do take(minute) end
  rolled_up = last
end
local to = math.min(last, rolled_up + tonumber(ARGV[1]))
local open = list_open(rolled_up + 1 - LATE_MINUTES, to, most)
for _, minute in ipairs(open) do take(minute) end
keep()
if #open == most then to = math.max(rolled_up, open[most]) end
if tostring(to) ~= found then call('SET', keys.TALLY_ROLLED_UP, to) end
return last - to
