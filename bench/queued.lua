-- Queues copies of a job that waits, under new ids: what storing as many would leave, in a fraction of the time.
-- KEYS  the job's hash, its queue's list
-- ARGV  the prefix of the copies' hashes, the number of the first copy and of the last

local fields = redis.call('HGETALL', KEYS[1])
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local id = string.format('%08x-0000-4000-8000-%012x', number, number)
  redis.call('HSET', ARGV[1] .. id, unpack(fields))
  redis.call('RPUSH', KEYS[2], id)
end
