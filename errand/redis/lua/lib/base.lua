-- Redis, in short words.
-- gives call, pcall_redis, describe_fault

call, pcall_redis = redis.call, redis.pcall

-- What an error says: Redis raises tables, Lua raises texts.
function describe_fault(error)
  return type(error) == 'table' and error.err or tostring(error)
end
