-- When a job is tried again that carries a policy (errand/contract/retry.py): a list of all its waits would be too
-- long, or its hours end them. It is `errand_backoff` on its hash, JSON {retries, base, cap, seconds: from the first
-- start on, or none}, and `errand_first_start`, in seconds.
-- rare
-- gives read_backoff, draw_wait
-- include base

-- A job's policy; nothing where it has none, or none that can be read.
function rare.read_backoff(stored)
  local readable, policy = pcall(cjson.decode, stored or '')
  if not readable or type(policy) ~= 'table' then return nil end
  if tonumber(policy.retries) and tonumber(policy.base) and tonumber(policy.cap) then return policy end
end

-- Draw the wait before the next try, in whole seconds, where `left` tries are left: full jitter. Redis 7 gives every
-- script the same random numbers; `seed` is what makes this attempt this one.
function rare.draw_wait(policy, left, seed)
  local ceiling = math.min(policy.cap, policy.base * 2 ^ math.min(math.max(policy.retries - left, 0), 64))
  local fraction = tonumber(redis.sha1hex(seed):sub(1, 8), 16) / 0xffffffff
  return math.max(1, math.floor(fraction * ceiling + 0.5))
end
