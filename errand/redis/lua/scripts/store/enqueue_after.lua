#!lua
-- Stores jobs, all or none, of which some wait for others, or for batches.
-- KEYS, ARGV  those of `enqueue` in lib/enqueue.lua; `after` may have ids of batches
-- Returns what it does, or -7 or -8 as `wait_for_batches` in lib/store/after_batch.lua; where nothing is stored, the
-- bodies that a request holds for these jobs go.
-- include base, store/bodies, store/after_batch, store/wrong_type, enqueue

local more = cjson.decode(ARGV[4])
local bodies = more.bodies and {find_lost = find_lost_body, hold = hold_bodies, let_go = let_go_of_body}
local found = more.claim and pcall_redis('GET', KEYS[3])
if found and found.err then return {err = name_wrong(found, {KEYS[3], 'string'})} end
local answer = found and {-2, found} or wait_for_batches(KEYS, ARGV) or enqueue(KEYS, ARGV, bodies)
if bodies and type(answer) == 'table' then
  for _, body in ipairs(more.bodies.all) do pcall(let_go_of_body, body[1], more.bodies.holder) end
end
return answer
