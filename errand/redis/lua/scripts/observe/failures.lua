#!lua flags=no-writes
-- Counts jobs that failed, or failed and are tried again, by what their failures have in common. The caller says where
-- to look, and asks for some hundred at a time: the server does nothing else meanwhile.
-- ARGV  JSON {batch: look at its jobs instead, or nothing, ranges: [[key of a sorted set of job ids, whether they are
--       tried again, first and last rank], …], type: of these alone or nothing, fingerprint: of this alone or nothing,
--       most: how many ids of those tried again are returned}
-- Returns JSON: for each fingerprint {fingerprint, type, error: its type, frame, message, failed, retrying, first,
-- last: when they failed, as RQ writes times or '', example: the id of the newest, of which frame and message are};
-- then ids of those that are tried again.
-- include base, observe/fingerprint, store/batch

local request = cjson.decode(ARGV[1])
local RETRYING = keys.RETRYING_STATUSES
local groups, places, ids = {}, {}, {}

local function build_group(fingerprint, job_type, error_type)
  local group = {fingerprint = fingerprint, type = job_type, error = error_type, failed = 0, retrying = 0, first = '',
    last = ''}
  groups[#groups + 1], places[fingerprint] = group, group
  return group
end

local function count(id, is_retrying, found)
  local job_type, frame, ended = found[2] or '', found[4] or '', found[5] or ''
  local error_type, message = read_failure(found[3])
  local fingerprint = write_fingerprint(job_type, error_type, frame)
  if request.fingerprint and fingerprint ~= request.fingerprint then return end
  local group = places[fingerprint] or build_group(fingerprint, job_type, error_type)
  local word = is_retrying and 'retrying' or 'failed'
  group[word] = group[word] + 1
  if not group.example or ended > group.last then
    group.example, group.frame, group.message, group.last = id, frame, message, ended
  end
  if ended ~= '' and (group.first == '' or ended < group.first) then group.first = ended end
  if is_retrying and #ids < request.most then ids[#ids + 1] = id end
end

local function read(id)
  local hash = keys.JOB .. id
  return pcall_redis('HMGET', hash, 'status', 'description', 'errand_error', 'errand_frame', 'ended_at', 'origin')
end

local function is_tried_again(id, queue)
  return type(pcall_redis('ZSCORE', keys.RETRYING_JOBS .. (queue or ''), id)) == 'string'
end

for _, id in ipairs(request.batch and list_batch(request.batch) or {}) do
  local job = read(id)
  local is_retrying = RETRYING[job[1]] and is_tried_again(id, job[6])
  if is_retrying or job[1] == 'failed' then count(id, is_retrying, job) end
end
for _, range in ipairs(request.ranges) do
  local found = pcall_redis('ZRANGE', range[1], range[3], range[4])
  for i = #found, 1, -1 do
    local job = read(found[i])
    local is_meant = range[2] and RETRYING[job[1]] or (not range[2] and job[1] == 'failed')
    if is_meant and (not request.type or job[2] == request.type) then count(found[i], range[2], job) end
  end
end
return cjson.encode({groups, ids})
