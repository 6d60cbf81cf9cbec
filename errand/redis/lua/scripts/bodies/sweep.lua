#!lua flags=allow-oom
-- Lets bodies go whose holders need them no more: jobs that have finished under a plain worker, were deleted by others
-- or have expired, requests that never stored a job. Then forgets bodies that expired before a job held them.
-- ARGV  after which member of errand:body-holds to begin ('' is the first), how many at most, the cursor of HSCAN
-- Returns the last member that was looked at ('' at the end) and the cursor.
-- include base, store/bodies

local most = tonumber(ARGV[2])
local now = tonumber(call('TIME')[1])

local function needs(holder)
  local asked_at = holder:match('^@(%d+)')
  if asked_at then return now - asked_at <= keys.BODY_REQUEST_SECONDS end
  local found = pcall_redis('HMGET', keys.JOB .. holder, 'status', 'errand_partial')
  return not found.err and found[1] and (found[1] ~= 'finished' or found[2]) -- a part that is undone may be requeued
end

local members = call('ZRANGE', keys.BODY_HOLDS, ARGV[1] == '' and '-' or '(' .. ARGV[1], '+', 'BYLEX', 'LIMIT', 0, most)
for _, member in ipairs(members) do
  local name, holder = member:match('^(.-):(.*)$')
  if not needs(holder) then let_go_of_body(name, holder) end
end

local found = call('HSCAN', keys.BODIES, ARGV[3], 'COUNT', most)
for i = 1, #found[2], 2 do
  local name = found[2][i]
  if name ~= 'total' and call('EXISTS', keys.BODY .. name) == 0 then forget_body(name) end
end
return {#members == most and members[most] or '', found[1]}
