#!lua flags=no-writes
-- Finds the schedules that have an occurrence due, by the server's clock; mostly there are none.
-- ARGV  how many at most, how many of those that are due longest are left out
-- Returns nothing, or now in seconds, how many are due, and for each schedule {name, occurrence, definition, payload,
-- token, the job of its last occurrence, that job's status}; of a damaged one the name alone.
-- include base

local now, most, left_out = call('TIME')[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local due = call('ZRANGE', keys.SCHEDULES, '-inf', now, 'BYSCORE', 'LIMIT', left_out, most, 'WITHSCORES')
if #due == 0 then return false end
local answer = {now, #due < 2 * most and left_out + #due / 2 or call('ZCOUNT', keys.SCHEDULES, '-inf', now)}
for i = 1, #due, 2 do
  local name = due[i]
  local found = pcall_redis('HMGET', keys.SCHEDULE .. name, 'definition', 'payload', 'token', 'batch', 'last_job')
  if found.err or not (found[1] and found[2] and found[3] and found[4]) then
    answer[#answer + 1] = {name}
  else
    local status = found[5] and pcall_redis('HGET', keys.JOB .. found[5], 'status')
    answer[#answer + 1] = {name, due[i + 1], found[1], found[2], found[3], found[5] or '',
      type(status) == 'string' and status or ''}
  end
end
return answer
