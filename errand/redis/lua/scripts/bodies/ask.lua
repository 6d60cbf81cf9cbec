#!lua
-- Makes room for bodies that a request is about to store, and lets it hold them. Sent twice it changes nothing.
-- ARGV  how many bytes all bodies together may have (0: any), the holder, then each body's SHA-256 and how many bytes
--       it has
-- Returns the names of those that are to be sent; or, where there is no room, -1 and how many bytes there are now.
-- include base, store/wrong_type

local most, holder = tonumber(ARGV[1]), ARGV[2]
local missing, more, expected = {}, 0, {keys.BODIES, 'hash', keys.BODY_HOLDS, 'zset'}
for i = 3, #ARGV, 2 do expected[i + 2], expected[i + 3] = keys.BODY .. ARGV[i], 'string' end
local wrong = name_wrong('', expected)
if wrong ~= '' then return {err = wrong} end
for i = 3, #ARGV, 2 do
  if call('STRLEN', keys.BODY .. ARGV[i]) ~= tonumber(ARGV[i + 1]) then
    missing[#missing + 1] = ARGV[i]
    if call('HEXISTS', keys.BODIES, ARGV[i]) == 0 then more = more + ARGV[i + 1] end
  end
end
local total = tonumber(call('HGET', keys.BODIES, 'total') or '0')
if most > 0 and more > 0 and total + more > most then return {-1, total} end
for i = 3, #ARGV, 2 do
  local name, size = ARGV[i], ARGV[i + 1]
  if call('HSETNX', keys.BODIES, name, size) == 1 then call('HINCRBY', keys.BODIES, 'total', size) end
  call('SET', keys.BODY .. name, '', 'EX', keys.BODY_REQUEST_SECONDS, 'NX') -- its place
  call('EXPIRE', keys.BODY .. name, keys.BODY_REQUEST_SECONDS, 'XX') -- one that a job holds has no lifetime
  call('ZADD', keys.BODY_HOLDS, 0, name .. ':' .. holder)
end
return missing
