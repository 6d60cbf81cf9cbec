#!lua flags=no-writes
-- Reads jobs of a batch, in the order of its items. Its record has how those have ended that are gone. The ids of a
-- batch follow from its own, so only the page is looked at; those of a schedule's record don't: they come in their own
-- order.
-- KEYS  the record
-- ARGV  JSON {limit: jobs, bytes: of descriptions, status: that they must have or nothing, after: the id to go on after
--       or '', first: the number of the first of the ids that follow}, then ids as they follow from the batch's
-- Returns nothing where there is no record, or the record's type, where to go on, as a number and an id, or '' and ''
-- where there is no more, then for each job its id, its status, and its description of lib/store/status.lua or '' where
-- it is gone.
-- include base, store/status, store/batch

local request, record = cjson.decode(ARGV[1]), KEYS[1]

-- Ids of one form, so that Lua's comparison, by the letters of the server's language, keeps one order.
local function list_others()
  local ids = {}
  for _, id in ipairs(list_batch(record:sub(#keys.BATCH + 1))) do
    if id > request.after then ids[#ids + 1] = id end
  end
  table.sort(ids)
  return ids
end

local function list_ids()
  local ids = {unpack(ARGV, 2)}
  if request.first > 0 or call('HEXISTS', record, ids[1]) == 1 then return ids, true end
  return list_others(), false
end

local function read_status(id, kept)
  local status = pcall_redis('HGET', keys.JOB .. id, 'status')
  if type(status) == 'string' and status ~= '' then return status, true end
  return kept ~= '' and kept or 'deleted', false
end

local job_type = call('HGET', record, 'type')
if not job_type then return false end
local answer, bytes = {job_type, '', ''}, 0
local ids, are_numbered = list_ids()
for i, id in ipairs(ids) do
  local kept = call('HGET', record, id)
  if not kept then break end -- the batch has no more
  local status, is_there = read_status(id, kept)
  if not request.status or status == request.status then
    if #answer >= 3 * request.limit + 3 or bytes >= request.bytes then
      answer[2], answer[3] = are_numbered and string.format('%d', request.first + i - 1) or '0', ids[i - 1]
      break
    end
    local description = is_there and describe_status(keys.JOB .. id, keys.RESULTS .. id) or ''
    for _, value in ipairs({id, status, description}) do answer[#answer + 1] = value end
    bytes = bytes + #description
  end
end
return answer
