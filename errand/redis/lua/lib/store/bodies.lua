-- Bodies: what of payloads lies outside their jobs, under its SHA-256, as long as somebody holds it: a job that can
-- still run, or a request that is about to store one. `errand:bodies` counts them, and is changed with them alone.
-- gives find_lost_body, forget_body, hold_bodies, let_go_of_body, let_go_of_bodies
-- include base

-- Take a body away, and out of the count.
function forget_body(name)
  local size = call('HGET', keys.BODIES, name)
  if size then
    call('HDEL', keys.BODIES, name)
    call('HINCRBY', keys.BODIES, 'total', -size)
    if call('HLEN', keys.BODIES) == 1 then call('DEL', keys.BODIES) end
  end
  call('DEL', keys.BODY .. name)
end

-- Let one holder of a body go; the last takes the body with it.
function let_go_of_body(name, holder)
  call('ZREM', keys.BODY_HOLDS, name .. ':' .. holder)
  -- ';' comes right after ':'
  local left = call('ZRANGE', keys.BODY_HOLDS, '[' .. name .. ':', '(' .. name .. ';', 'BYLEX', 'LIMIT', 0, 1)
  if #left == 0 then forget_body(name) end
end

-- Let a job go of all its bodies.
function let_go_of_bodies(id, names)
  for name in names:gmatch('%x+') do let_go_of_body(name, id) end
end

-- The first of some bodies, {name, size}, that is not there (any more), nothing where all are.
function find_lost_body(bodies)
  for _, body in ipairs(bodies) do
    if call('STRLEN', keys.BODY .. body[1]) ~= body[2] then return body[1] end
  end
end

-- Let a job hold some of `bodies`, by their places in it.
function hold_bodies(hash, bodies, places)
  local names, id = {}, hash:match('[^:]+$')
  for i, place in ipairs(places) do
    local name = bodies[place][1]
    names[i] = name
    call('ZADD', keys.BODY_HOLDS, 0, name .. ':' .. id)
    call('PERSIST', keys.BODY .. name)
  end
  if #names > 0 then call('HSET', hash, 'errand_bodies', table.concat(names, ' ')) end
end
