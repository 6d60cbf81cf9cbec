#!lua
-- Stores jobs, all or none, of whose payloads some lie outside of their records.
-- KEYS, ARGV  those of `enqueue` in lib/enqueue.lua
-- Returns what it does; where nothing is stored, the bodies that a request holds for these jobs go.
-- include base, store/bodies, enqueue

local answer = enqueue(KEYS, ARGV, {find_lost = find_lost_body, hold = hold_bodies, let_go = let_go_of_body})
if type(answer) == 'table' then
  local bodies = cjson.decode(ARGV[4]).bodies
  for _, body in ipairs(bodies.all) do pcall(let_go_of_body, body[1], bodies.holder) end
end
return answer
