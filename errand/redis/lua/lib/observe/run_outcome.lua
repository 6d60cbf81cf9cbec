-- What became of a schedule's runs.
-- gives find_fate
-- include base

-- What became of the job of a run, which is JSON, by that job or by the `record` of the last runs' jobs; '' where it
-- had none.
function find_fate(record, run)
  local readable, old = pcall(cjson.decode, run)
  local id = readable and type(old) == 'table' and old.job
  if not id then return '' end
  local noted, status = pcall_redis('HGET', record, id), pcall_redis('HGET', keys.JOB .. id, 'status')
  if type(status) == 'string' then return status end -- a key of a wrong type hides no other run
  return type(noted) == 'string' and noted ~= '' and noted or 'deleted'
end
