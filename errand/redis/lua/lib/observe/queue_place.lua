-- The place of a job in its queue's list, without reading the list: at a million that would hold up the server for 50
-- ms.
-- gives find_place
-- include base, observe/oldest

local NEAR, FRONT, CLOSE, GAPS, GUESSES = 100, 5000, 150, 8, 6 -- ids
local AROUND = {{50, 200}, {400, 800}, {2000, 3000}} -- how many before and behind are looked at, then how many more

local function find_in(ids, id, first)
  for i, other in ipairs(ids) do
    if other == id then return first + i - 1 end
  end
end

-- A number that grows with a time of RQ's form, nearly as time does.
local function read_moment(text)
  local year, month, day, hour, minute, second = text:match('^(%d+)-(%d+)-(%d+)T(%d+):(%d+):([%d.]+)Z$')
  return ((((year * 12 + month) * 31 + day) * 24 + hour) * 60 + minute) * 60 + second
end

-- When the job at a place was queued; those that are gone are stepped over. Returns that time, and the place that has
-- it.
local function find_moment(key, place, last)
  for probe = place, math.min(last, place + GAPS) do
    local id = call('LINDEX', key, probe)
    local at = id and read_enqueued_at(id)
    if at then return read_moment(at), probe end
  end
  return nil, place
end

-- Where the list comes to the moment `at`, give or take so many as CLOSE. But for what was put at the front it is in
-- the order of enqueued_at, within the moments that requests take. A look at a place costs as much as that is far from
-- the list's ends, so guess by how far the moment is between two known ones, and halve where guesses don't help.
local function search(key, at, low, high)
  local early, late, guesses, step = find_moment(key, low, high), find_moment(key, high, high), 0, nil
  while high - low > CLOSE do
    local middle = math.floor((low + high) / 2)
    if step then
      middle, step = math.max(low + 1, math.min(high - 1, step)), nil
    elseif early and late and early < at and at < late and guesses < GUESSES then
      guesses, middle = guesses + 1, low + math.floor((high - low) * (at - early) / (late - early))
      middle = math.max(low + 1, math.min(high - 1, middle))
      step = middle -- the next look is on its other side
    end
    local moment, probe = find_moment(key, middle, high)
    if moment and moment < at then
      low, early, step = probe, moment, step and probe + CLOSE
    else
      high, late, step = middle, moment or late, step and middle - CLOSE
    end
  end
  return low
end

-- Return how many are before the job, how many there are, and whether that is exact. The first may be false: it is in
-- no list. Many may bear one time, as those of a batch do; the time of one that was put at the front says nothing.
function find_place(queue, id, at, is_front)
  local key = keys.QUEUE .. queue
  local length = pcall_redis('LLEN', key)
  if type(length) ~= 'number' then return false, 0, false end
  local seen = is_front and FRONT or NEAR
  local place = find_in(call('LRANGE', key, 0, seen - 1), id, 0)
  if place or length <= seen then return place or false, length, true end
  local near = at and search(key, read_moment(at), seen, length - 1) or length - 1
  for _, around in ipairs(AROUND) do
    local from = math.max(seen, near - around[1])
    place = find_in(call('LRANGE', key, from, near + around[2]), id, from)
    if place then return place, length, true end
  end
  return near, length, false
end
