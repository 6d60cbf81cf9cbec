-- The end of a step that ends jobs.
-- gives freed, finish_step
-- include base, events, push, observe/tally

freed = {} -- parents of jobs that no longer wait for their requeue: lib/dependents.lua notes them

-- Every script that ends jobs ends with this; `seconds` are of Redis' clock, where it has asked for them.
function finish_step(seconds)
  for parent, _ in pairs(freed) do pcall(rare.let_expire, parent) end
  keep_tally(seconds)
  wake_workers()
  publish_touched()
end
