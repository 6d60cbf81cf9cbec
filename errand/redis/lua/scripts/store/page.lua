#!lua flags=no-writes
-- Finds jobs in sorted sets of job ids, in order, some at a time: in the indexes by the time of creation, or among
-- the failed by the time of failure. The cost is that of the jobs looked at, however many there are.
-- ARGV  JSON {source: created or failed, queues: [the queues known], type, queue, tag, batch, status or statuses: [one
--       of them], error, fingerprint, created_after and created_before in microseconds, ended_after and ended_before in
--       RQ's format, token: of a requeue to leave out, place: [score, id] to go on from, each as asked for; forward:
--       oldest first, limit: jobs, budget: jobs looked at, bytes: of descriptions, small: ids under a status that are
--       read and sorted each time, ids_only, counts_only}
-- Returns where to go on, as score and id, or '' and '' where there is no more, then for each job its score, its id
-- and its description of lib/store/status.lua; with ids_only '' for that unless its error is unknown here; with
-- counts_only instead of jobs each status and how many have it, in one text.
-- include base, store/status, store/batch, store/registries, observe/fingerprint

local request = cjson.decode(ARGV[1])
local CHUNK = 100
local asked = request.statuses or (request.status and {request.status}) -- a job has one of them; any, without
local is_asked = {}
for _, status in ipairs(asked or {}) do is_asked[status] = true end

-- Redis orders bytes, Lua's own comparison the letters of the server's language.
local function is_less(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = one:byte(i), other:byte(i)
    if a ~= b then return a < b end
  end
  return #one < #other
end

-- An entry: its score as Redis gave it, its id, and the score as a number.
local function build_entry(score, id)
  return {score, id, tonumber(score)}
end

-- Whether one entry comes before another.
local function is_newer(one, other)
  if one[3] ~= other[3] then return one[3] > other[3] end
  return is_less(other[2], one[2])
end

local function is_older(one, other)
  return is_newer(other, one)
end

local is_before = request.forward and is_older or is_newer

local function read_range(key, first, last)
  if request.forward then return call('ZRANGE', key, first, last, 'WITHSCORES') end
  return call('ZRANGE', key, first, last, 'REV', 'WITHSCORES')
end

-- The rank of the first member after a place, whether there is one at the place or not.
local function seek(key, place)
  local beyond = '(' .. place[1]
  local low = request.forward and call('ZCOUNT', key, '-inf', beyond) or call('ZCOUNT', key, beyond, '+inf')
  local high = low + call('ZCOUNT', key, place[1], place[1])
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = read_range(key, middle, middle)
    if is_before(place, build_entry(found[2], found[1])) then high = middle else low = middle + 1 end
  end
  return low
end

local function refill(stream)
  if stream.key then
    stream.found = read_range(stream.key, stream.rank, stream.rank + stream.chunk - 1)
    stream.rank, stream.chunk, stream.at = stream.rank + stream.chunk, CHUNK, 1
  end
  local id = stream.found[stream.at]
  stream.head = id and build_entry(stream.found[stream.at + 1], id)
end

local function advance(stream)
  stream.at = stream.at + 2
  local id = stream.found[stream.at]
  if id or not stream.key then
    stream.head = id and build_entry(stream.found[stream.at + 1], id)
  else
    refill(stream)
  end
end

local function open(names)
  local streams, chunk = {}, math.min(CHUNK, math.ceil((request.limit + 1) / #names) + 4)
  for _, key in ipairs(names) do
    if call('TYPE', key).ok == 'zset' then
      local stream = {key = key, rank = request.place and seek(key, request.place) or 0, chunk = chunk}
      refill(stream)
      if stream.head then streams[#streams + 1] = stream end
    end
  end
  return streams
end

local function list_indexes()
  if request.tag then return {keys.TAG .. request.tag} end
  local prefix = keys.INDEX .. (request.queue and request.queue .. ':' or '')
  if request.queue and request.type then return {prefix .. request.type} end
  local found = call('ZRANGE', keys.INDEXES, '[' .. prefix, '(' .. prefix .. '\255', 'BYLEX')
  if not request.type then return found end
  local names = {}
  for _, key in ipairs(found) do
    if key:match('[^:]*$') == request.type then names[#names + 1] = key end
  end
  return names
end

local function list_queues()
  if request.queue then return {request.queue} end
  local names, seen = {}, {}
  for _, key in ipairs(call('SMEMBERS', keys.QUEUES)) do table.insert(request.queues, key:sub(#keys.QUEUE + 1)) end
  for _, name in ipairs(request.queues) do
    if not seen[name] then names[#names + 1] = name end
    seen[name] = true
  end
  return names
end

-- Microseconds of RQ's format, as text: Lua itself would write them with 14 digits.
local function read_microseconds(text)
  local year, month, day, hour, minute, second, rest = text:match('^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)%.?(%d*)')
  if not year then return '0' end
  local from_march = (month + 9) % 12 -- a year that begins in March ends with the leap day
  local years = year - math.floor(from_march / 10)
  local days = 365 * years + math.floor(years / 4) - math.floor(years / 100) + math.floor(years / 400)
    + math.floor((153 * from_march + 2) / 5) + day - 719469
  local seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
  return string.format('%.0f', seconds * 1000000 + tonumber((rest .. '000000'):sub(1, 6)))
end

local function has_error(stored)
  if not request.error or not stored then return true end -- the caller looks again
  local readable, error = pcall(cjson.decode, stored)
  if not readable or type(error) ~= 'table' then return true end
  return error.type == request.error or tostring(error.message):find(request.error, 1, true) ~= nil
end

local function has_fingerprint(job, frame)
  if not request.fingerprint then return true end
  return write_fingerprint(job.type, (read_failure(job.error)), frame or '') == request.fingerprint
end

local function match_failure(hash, job)
  local found = call('HMGET', hash, 'ended_at', 'errand_error', 'errand_requeue', 'errand_frame')
  local ended_at = found[1] or ''
  job.error = found[2]
  return (not request.ended_after or not is_less(ended_at, request.ended_after))
    and (not request.ended_before or is_less(ended_at, request.ended_before))
    and (not request.token or found[3] ~= request.token)
    and has_error(job.error)
    and has_fingerprint(job, found[4])
end

-- What is asked of a job here, nothing for one that is not among those asked for, or gone, or damaged.
local function match(id)
  local hash = keys.JOB .. id
  local found = pcall_redis('HMGET', hash, 'status', 'origin', 'description')
  if found.err or not found[1] then return nil end
  local is_asked_for = (not asked or is_asked[found[1]])
    and (not request.queue or found[2] == request.queue)
    and (not request.type or found[3] == request.type)
    and (not request.tag or call('ZSCORE', keys.TAG .. request.tag, id))
  if not is_asked_for then return nil end
  local job = {status = found[1], queue = found[2] or '', type = found[3] or ''}
  return (request.source ~= 'failed' or match_failure(hash, job)) and job or nil
end

-- Where a job stands in the order asked for; nothing for one that is not among the failed, if these are.
local function find_score(id, job)
  local is_failed = request.source == 'failed'
  local key = is_failed and keys.FAILED .. job.queue or keys.INDEX .. job.queue .. ':' .. job.type
  local score = pcall_redis('ZSCORE', key, id)
  if type(score) == 'string' then return score end
  return not is_failed and read_microseconds(call('HGET', keys.JOB .. id, 'created_at') or '') or nil
end

-- One stream of what few ids there are, in the order of the lists that would hold them.
local function sort(ids)
  local entries, found = {}, {}
  for _, id in ipairs(ids) do
    local job = match(id)
    local score = job and find_score(id, job)
    local entry = score and build_entry(score, id)
    if entry and (not request.place or is_before(request.place, entry)) then entries[#entries + 1] = entry end
  end
  table.sort(entries, is_before)
  for _, entry in ipairs(entries) do found[#found + 1], found[#found + 2] = entry[2], entry[1] end
  local stream = {found = found, at = 1}
  refill(stream)
  return stream.head and {stream} or {}
end

local function find_streams()
  if request.batch then return sort(list_batch(request.batch)) end
  if request.source == 'failed' then
    local names = {}
    for i, name in ipairs(list_queues()) do names[i] = keys.FAILED .. name end
    return open(names)
  end
  local indexes, registries = list_indexes(), asked and list_registries(asked, list_queues(), request.queue)
  local size = registries and count_in(registries)
  if size and size <= request.small and not (request.tag and pcall_redis('ZCARD', indexes[1]) <= size) then
    return sort(read_ids(registries))
  end
  return open(indexes)
end

-- Whether a time is past the end of those asked for, in the order asked for.
local function is_beyond(score)
  if request.source ~= 'created' then return false end
  if request.forward then return request.created_before and score >= tonumber(request.created_before) end
  return request.created_after and score < tonumber(request.created_after)
end

local function pick(streams)
  local first
  for _, stream in ipairs(streams) do
    if stream.head and (not first or is_before(stream.head, first.head)) then first = stream end
  end
  if first and is_beyond(first.head[3]) then return nil end
  return first
end

local function describe(id, job)
  if request.ids_only and not (request.error and not job.error) then return '' end
  return describe_status(keys.JOB .. id, keys.RESULTS .. id)
end

local function collect(streams)
  local answer, looked, bytes, place, stream = {'', ''}, 0, 0, request.place, pick(streams)
  while stream do
    local head = stream.head
    local job = looked < request.budget and match(head[2])
    local is_full = #answer >= 3 * request.limit + 2 or bytes >= request.bytes
    if looked >= request.budget or (job and is_full) then
      answer[1], answer[2] = place[1], place[2]
      return answer
    end
    if job then
      local description = describe(head[2], job)
      for _, value in ipairs({head[1], head[2], description}) do answer[#answer + 1] = value end
      bytes = bytes + #description
    end
    looked, place = looked + 1, head
    advance(stream)
    stream = pick(streams)
  end
  return answer
end

local function count(streams)
  local answer, looked, counts, place, stream = {'', ''}, 0, {}, request.place, pick(streams)
  while stream and looked < request.budget do
    local job = match(stream.head[2])
    if job then counts[job.status] = (counts[job.status] or 0) + 1 end
    looked, place = looked + 1, stream.head
    advance(stream)
    stream = pick(streams)
  end
  if stream then answer[1], answer[2] = place[1], place[2] end
  answer[3] = cjson.encode(counts)
  return answer
end

-- No id comes before '' at that time; a place in the list is on this side of it already.
local bound = not request.forward and request.created_before or request.forward and request.created_after
if bound then request.place = request.place or {bound, ''} end
if request.place then request.place = build_entry(request.place[1], request.place[2]) end
return (request.counts_only and count or collect)(find_streams())
