-- Jobs that wait for a batch: RQ's dependencies are per job, so they wait for each of its jobs, by RQ's own keys.
-- gives wait_for_batches
-- include base, store/batch

local ENDED_BADLY = keys.ENDED_BADLY

-- What a batch's record holds by job, and how many jobs; nothing where it is none. A schedule's record has no end for
-- which anybody could wait.
local function read_batch(id)
  local found, members, count = pcall_redis('HGETALL', keys.BATCH .. id), {}, 0
  if found.err or #found == 0 then return nil end
  for i = 1, #found, 2 do
    local name, kept = found[i], found[i + 1]
    if name == 'webhook' and kept == '' then return nil end
    if is_member(name) then
      members[name], count = kept, count + 1
    end
  end
  return members, count
end

-- Add a batch's jobs to those that a group waits for. Those that are gone are judged by how they ended: one that did
-- not finish will not be requeued any more.
local function add_members(group, members)
  for id, kept in pairs(members) do
    if call('EXISTS', keys.JOB .. id) == 1 then
      group.after[#group.after + 1] = id
    elseif kept ~= 'finished' and group.on_failure ~= 'run' then
      group.fate = 'canceled'
    end
  end
end

-- RQ's field of what a job waits for has the jobs, one of ours what was asked for.
local function write_fields(group)
  local fields, jobs = group.fields, group.after
  for i = 1, #fields, 2 do
    if fields[i] == 'dependency_ids' then fields[i + 1] = #jobs > 0 and cjson.encode(jobs) or '[]' end
    if fields[i] == 'dependency_id' then fields[i + 1] = jobs[1] or '' end
  end
  fields[#fields + 1], fields[#fields + 2] = 'errand_after', cjson.encode(group.asked)
end

-- Whether as many wait for a batch already as may, unless this very call was answered before.
local function is_full(id, group)
  local is_over = call('SCARD', keys.CHILDREN .. id) + group.count > keys.DEPENDENTS_LIMIT
  return is_over and call('EXISTS', group.first_key) == 0
end

-- The groups of a call, each with its place and with the batches that it waits for, by id; how many jobs all wait for,
-- taken together; and a batch that has as many dependents as it may have, where there is one.
local function read_groups(KEYS, ARGV)
  local groups, at, nth, links, full = {}, 5, 4, 0, nil
  while at <= #ARGV do
    local group = cjson.decode(ARGV[at])
    group.at, group.count, group.first_key, group.batches = at, tonumber(ARGV[at + 3]), KEYS[nth], {}
    for _, id in ipairs(group.after) do
      local members, size
      if call('EXISTS', keys.JOB .. id) == 0 then members, size = read_batch(id) end
      group.batches[id] = members
      links = links + group.count * (size or 1)
      if members and is_full(id, group) then full = id end
    end
    groups[#groups + 1] = group
    at, nth = at + 4 + 2 * group.count, nth + group.count
  end
  return groups, links, full
end

local function replace(group)
  group.asked, group.after = group.after, {}
  for _, id in ipairs(group.asked) do
    if group.batches[id] then add_members(group, group.batches[id]) else group.after[#group.after + 1] = id end
  end
  group.batches = nil
  write_fields(group)
end

-- Put their jobs in the place of batches that the groups of a call of `enqueue` (lib/enqueue.lua) wait for, in its
-- arguments; each group keeps what was `asked` for. Return nothing, or, with nothing changed, an answer: -8 and the id
-- of a batch that has as many dependents as it may have, or -7 and how many jobs all would wait for, taken together.
function wait_for_batches(KEYS, ARGV)
  local groups, links, full = read_groups(KEYS, ARGV)
  if full then return {-8, full} end
  for _, group in ipairs(groups) do
    if next(group.batches) then
      if links > keys.LINKS_LIMIT then return {-7, string.format('%d', links)} end
      replace(group)
      ARGV[group.at] = cjson.encode(group)
    end
  end
end
