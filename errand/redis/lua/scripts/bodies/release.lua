#!lua flags=allow-oom
-- Lets jobs go of their bodies, those that have finished with nothing left to do. Sent twice it changes nothing.
-- ARGV  the jobs' ids
-- include base, store/bodies

for _, id in ipairs(ARGV) do
  local found = call('HMGET', keys.JOB .. id, 'status', 'errand_bodies', 'errand_partial')
  if found[1] == 'finished' and found[2] and not found[3] then
    let_go_of_bodies(id, found[2])
    call('HDEL', keys.JOB .. id, 'errand_bodies')
  end
end
