#!lua flags=no-writes
-- Gathers what says whether the service is well, in one step.
-- ARGV  since when a live worker of ours has been heard, then for each type of the API its name and its queue
-- Returns JSON {clock: as TIME returns it, live: how many workers, queues: by name {served, waiting: jobs in its list
-- and parked, oldest_at or false}, types: by name {able: whether a worker of its queue has it, parked: jobs that wait
-- for one}, held: {type, since, reason}, next_occurrence: of the schedule that is due first, or false}.
-- include base, parked, observe/live, observe/oldest

local workers, queues, types, parks = list_live(ARGV[1]), {}, {}, {}

local function count(...)
  local found = pcall_redis(...)
  return type(found) == 'number' and found or 0
end

for _, park in ipairs(rare.list_parked()) do
  parks[park.queue] = parks[park.queue] or {}
  table.insert(parks[park.queue], park)
end

local function describe_queue(name)
  local waiting, is_served = count('LLEN', keys.QUEUE .. name), false
  for _, park in ipairs(parks[name] or {}) do waiting = waiting + count('ZCARD', park.key) end
  for _, live in ipairs(workers) do is_served = is_served or live.queues[name] == true end
  return {served = is_served, waiting = waiting, oldest_at = find_oldest(name, parks[name] or {})}
end

local function describe_type(name, queue)
  local parked, is_able = 0, false
  for _, live in ipairs(workers) do
    is_able = is_able or (live.queues[queue] and find_its_code(live, name) and true or false)
  end
  for _, park in ipairs(parks[queue] or {}) do
    if park.type == name and park.codes == '' then parked = parked + count('ZCARD', park.key) end
  end
  return {able = is_able, parked = parked}
end

for i = 2, #ARGV, 2 do
  local name, queue = ARGV[i], ARGV[i + 1]
  queues[queue] = queues[queue] or describe_queue(queue)
  types[name] = describe_type(name, queue)
end
local held, names = {}, pcall_redis('SMEMBERS', keys.HELD_TYPES)
for _, name in ipairs(names.err and {} or names) do
  local job_type, service = name:match('^([^:]*):(.*)$')
  local hold = job_type and rare.read_hold(job_type, service)
  if hold then held[#held + 1] = {job_type, hold.since, hold.reason} end
end
local first = pcall_redis('ZRANGE', keys.SCHEDULES, 0, 0, 'WITHSCORES')
local next_occurrence = not first.err and first[2] and first[2] ~= 'inf' and first[2] or false
return cjson.encode({clock = call('TIME'), live = #workers, queues = queues, types = types, held = held,
  next_occurrence = next_occurrence})
