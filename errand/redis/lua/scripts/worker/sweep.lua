#!lua flags=allow-oom
-- Takes out of the indexes and tags the ids of jobs that have expired or were deleted, and out of the list of their
-- names those that are empty. The workers share one round through all of them: where it has come to is kept.
-- ARGV  how many ids at most, the least time between two calls in milliseconds
-- It also takes out of the count of notes what has expired, of a few that it meets.
-- Returns how many ids were looked at and how many were taken out.
-- include base, observe/notes

local most = tonumber(ARGV[1])
local clock = call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = call('HMGET', keys.SWEEP, 'name', 'rank', 'at')
local name, rank, at = found[1] or '', tonumber(found[2] or '') or 0, tonumber(found[3] or '') or 0
if now_ms >= at and now_ms < at + ARGV[2] then return {0, 0} end

-- Look at some ids of one set; return how many, and how many were taken out.
local function sweep(key, first, limit)
  local ids, gone = pcall_redis('ZRANGE', key, first, first + limit - 1), {}
  if ids.err then return 0, 0 end
  for _, id in ipairs(ids) do
    if call('EXISTS', keys.JOB .. id) == 0 then gone[#gone + 1] = id end
  end
  if #gone > 0 then call('ZREM', key, unpack(gone)) end
  return #ids, #gone
end

local NOTES_AT_ONCE = 20 -- as sweeps are frequent, enough to keep up with what expires

local function sweep_notes()
  local keys_met = pcall_redis('ZRANDMEMBER', keys.NOTES, NOTES_AT_ONCE)
  if keys_met.err or #keys_met == 0 then return end
  local notes = rare.open_notes()
  for _, key in ipairs(keys_met) do
    if call('EXISTS', key) == 0 then notes.forget(key) end
  end
end

sweep_notes()
local looked, removed, left = 0, 0, most
while left > 0 do
  local key = call('ZRANGE', keys.INDEXES, name == '' and '-' or '[' .. name, '+', 'BYLEX', 'LIMIT', 0, 1)[1]
  if not key then
    name = ''
    break
  end
  if key ~= name then name, rank = key, 0 end
  local seen, gone = sweep(key, rank, left)
  looked, removed, rank = looked + seen, removed + gone, rank + seen - gone
  if seen < left then -- that was its end; no other name lies between this one and the next
    if pcall_redis('ZCARD', key) == 0 then call('ZREM', keys.INDEXES, key) end
    name, rank = key .. '\0', 0
  end
  left = left - seen - 1
end
if looked > 0 or name ~= '' then
  call('HSET', keys.SWEEP, 'name', name, 'rank', rank, 'at', string.format('%.0f', now_ms))
elseif found[1] then
  call('DEL', keys.SWEEP) -- there is nothing to sweep
end
return {looked, removed}
