-- RQ's registry of canceled jobs.
-- rare
-- gives add_to_canceled
-- include base

-- Note a canceled job. RQ never takes out of that registry what has expired: look at two for each that is put in.
function rare.add_to_canceled(queue, id, score)
  local key = keys.CANCELED .. queue
  -- Where the key is of a wrong type, the job is canceled all the same.
  if type(redis.pcall('ZADD', key, score, id)) == 'table' then return end
  for _, other in ipairs(call('ZRANDMEMBER', key, 2)) do
    if call('EXISTS', keys.JOB .. other) == 0 then call('ZREM', key, other) end
  end
end
