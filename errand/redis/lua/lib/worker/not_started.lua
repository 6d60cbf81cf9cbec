-- A job that was taken off its queue and could not be started.
-- gives settle_untaken
-- include faults, worker/end_lease, worker/quarantine

-- One that failed as it started is damaged itself. One that failed before that failed at a key that it shares with
-- others: it waits for a minute, at no attempt.
function settle_untaken(id, queue, execution, broken)
  local hash = keys.JOB .. id
  if redis.pcall('HGET', hash, 'status') ~= 'queued' then
    pcall(rare.release, id, execution, queue)
    quarantined[#quarantined + 1] = rare.quarantine(id, rare.describe_fault(broken))
  else
    -- paste store/put_off
    put_off(id, queue)
  end
end
