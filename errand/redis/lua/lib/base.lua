-- Redis, in short words.
-- gives call, pcall_redis

call, pcall_redis = redis.call, redis.pcall
