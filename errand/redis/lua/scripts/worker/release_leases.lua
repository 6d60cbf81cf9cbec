#!lua flags=allow-oom
-- Hands back executions of this worker whose process is gone, each to the front of its queue, in the order of their
-- starts.
-- ARGV  1 to 6 as lib/worker/execution_records.lua, 7 the trace for a job lost too often, 8 lost or interrupted, 9 the
-- prefix of
--       the execution ids that are meant, then the members that are not meant
-- Returns each member and what became of its job.
-- include base, worker/execution_records, worker/hand_back, dependents, store/end_of_step

local function read_start(member)
  local start = pcall_redis('HGET', keys.EXECUTION .. member, 'created_at')
  return type(start) == 'string' and tonumber(start) or 0
end

local spared, ended = {}, {}
for i = 10, #ARGV do spared[ARGV[i]] = true end
for _, member in ipairs(pcall_redis('SMEMBERS', name_held(worker))) do
  local _, execution = split(member)
  if not spared[member] and execution:sub(1, #ARGV[9]) == ARGV[9] then
    ended[#ended + 1] = {member, read_start(member)}
  end
end
table.sort(ended, function(one, other) return one[2] > other[2] end)

local fates = {}
for _, item in ipairs(ended) do
  fates[#fates + 1] = item[1]
  fates[#fates + 1] = rare.hand_back(item[1], ARGV[8] == 'lost', ARGV[7])
end
finish_step()
return fates
