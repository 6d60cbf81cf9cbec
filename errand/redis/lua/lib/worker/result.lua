-- RQ's record of how an attempt has ended.
-- gives add_result
-- include base, worker/execution_records

function add_result(id, kind, execution, field, value, started, ended, ttl)
  local key = keys.RESULTS .. id
  call('XADD', key, 'MAXLEN', '~', '10', '*', 'type', kind, 'worker_name', worker, 'execution_id', execution,
    'execution_started_at', started, 'execution_ended_at', ended, unpack(value ~= '' and {field, value} or {}))
  if ttl == -1 then call('PERSIST', key) elseif ttl then call('EXPIRE', key, ttl) end
end
