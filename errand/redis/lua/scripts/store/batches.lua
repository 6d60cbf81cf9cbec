#!lua flags=no-writes
-- Lists batches, the newest first, with their jobs counted as `store/batch` does. One whose record has expired is
-- passed over.
-- ARGV  JSON {limit: batches, budget: batches looked at, jobs: about so many are counted, each that must be looked up
--       as LOOKED_UP of others, type: of these alone or nothing, place: [score, id] to go on after, or nothing}
-- Returns the place to go on after, as score and id, or '' and '' where there are no more, then for each batch a list:
-- its id, type and created_at, and pairs of status and count.
-- include base, store/batch

local LOOKED_UP = 5
local request = cjson.decode(ARGV[1])
local place = request.place or {'+inf', ''}
local found = call('ZRANGE', keys.BATCHES, place[1], '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, request.budget + 1,
  'WITHSCORES')
local answer, jobs, looked = {'', ''}, 0, 0

-- Of the batches of one microsecond the ids, of one form, go down.
local function is_before(score, id)
  return score == place[1] and id >= place[2]
end

-- Its type and created_at, and its whole record; nothing for one that is gone, damaged, or of another type.
local function read(id)
  local head = pcall_redis('HMGET', keys.BATCH .. id, 'type', 'created_at')
  if head.err or not head[1] or (request.type and head[1] ~= request.type) then return nil end
  return {id, head[1], head[2] or ''}, call('HGETALL', keys.BATCH .. id)
end

for i = 1, #found, 2 do
  local id, score = found[i], found[i + 1]
  if not is_before(score, id) then
    if looked >= request.budget or #answer >= request.limit + 2 or jobs >= request.jobs then
      answer[1], answer[2] = found[i - 1], found[i - 2]
      break
    end
    local batch, record = read(id)
    looked = looked + 1
    if batch then
      local counts, _, looked_up, known = count_batch(record, true)
      for status, count in pairs(counts) do batch[#batch + 1], batch[#batch + 2] = status, count end
      answer[#answer + 1], jobs = batch, jobs + LOOKED_UP * looked_up + known
    end
  end
end
return answer
