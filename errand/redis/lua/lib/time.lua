-- The time of the step by the server's clock, for scripts whose callers don't give it.
-- gives read_time
-- include base, clock

local MONTHS = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

-- Year, month and day of so many days after the first of 1970.
local function count_date(days)
  local year, month = 1970, 1
  while days >= (is_leap(year) and 366 or 365) do
    days, year = days - (is_leap(year) and 366 or 365), year + 1
  end
  while true do
    local length = month == 2 and is_leap(year) and 29 or MONTHS[month]
    if days < length then return year, month, days + 1 end
    days, month = days - length, month + 1
  end
end

-- Set `now` and `now_text`; return the clock in microseconds.
function read_time()
  local clock = call('TIME')
  local seconds, microseconds = tonumber(clock[1]), tonumber(clock[2])
  local year, month, day = count_date(math.floor(seconds / 86400))
  local rest = seconds % 86400
  now = seconds + microseconds / 1000000
  now_text = string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, day, math.floor(rest / 3600),
    math.floor(rest / 60) % 60, rest % 60, microseconds)
  return seconds * 1000000 + microseconds
end
