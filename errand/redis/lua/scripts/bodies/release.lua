#!lua flags=allow-oom
-- Lets jobs go of their bodies, those that have finished. Sent twice it changes nothing.
-- ARGV  the jobs' ids
-- include base, store/bodies

for _, id in ipairs(ARGV) do
  local found = call('HMGET', keys.JOB .. id, 'status', 'errand_bodies')
  if found[1] == 'finished' and found[2] then
    let_go_of_bodies(id, found[2])
    call('HDEL', keys.JOB .. id, 'errand_bodies')
  end
end
