-- Ends of jobs with more dependents than one script may settle. Those that are left are noted here, and the workers'
-- chores go on with them (scripts/store/settle_dependents.lua). A note is RQ's own set of the job's dependents under
-- another name: that set goes when the job is deleted or expires, and may have thousands of members.
-- rare
-- gives open_settling
-- include base, clock

local notes

-- The functions of these notes: made when a job has dependents, because Lua makes each function of a script in every
-- call.
function rare.open_settling()
  if notes then return notes end
  notes = {}
  local is_any -- whether there are notes, once that was asked
  local noted = 0

  -- Whether this script has left dependents to the chores.
  function notes.has_noted()
    return noted > 0
  end

  -- Whether a job that is gone was deleted and its dependents do not all know: to those it does not count as finished
  -- yet.
  function notes.is_noted_as_deleted(id)
    if is_any == nil then is_any = call('EXISTS', keys.SETTLING) == 1 end
    return is_any and type(pcall_redis('ZSCORE', keys.SETTLING, 'deleted:' .. id)) == 'string'
  end

  -- Note all that wait for a job which has come to `outcome`. Return the note's name; or nothing where notes can't be
  -- kept, since their key is of a wrong type. Then the sweep of waiting jobs (scripts/worker/orphans.lua) settles them.
  function notes.note_dependents(id, outcome)
    local name, from = outcome .. ':' .. id, keys.JOB .. id .. keys.DEPENDENTS
    local to = keys.SETTLING_JOBS .. name
    if type(pcall_redis('ZADD', keys.SETTLING, 'NX', now, name)) ~= 'number' then return nil end
    if call('EXISTS', to) == 1 then
      call('SUNIONSTORE', to, to, from)
      call('DEL', from)
    else
      pcall_redis('RENAME', from, to)
      call('PERSIST', to)
    end
    is_any, noted = true, noted + 1
    return name
  end

  -- The oldest note: its name, the outcome and the job; nothing where there is none. What is no name of ours goes.
  function notes.find_note()
    while true do
      local name = call('ZRANGE', keys.SETTLING, 0, 0)[1]
      local outcome, id = (name or ''):match('^(%l+):(.+)$')
      if outcome or not name then return name, outcome, id end
      call('ZREM', keys.SETTLING, name)
    end
  end

  -- Take one dependent out of a note; the note goes when none is left, or when its key is no set.
  function notes.pop_noted(name)
    local id = pcall_redis('SPOP', keys.SETTLING_JOBS .. name)
    if type(id) == 'string' then return id end
    call('ZREM', keys.SETTLING, name)
  end

  return notes
end
