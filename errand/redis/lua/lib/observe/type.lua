-- The type of a job. The payload is packed, so the type is read from the job's description: in what Errand stores that
-- is the type's name, in what others store the call's text.
-- gives name_type

-- The type that a description names, nothing where it names none.
function name_type(description)
  return description:match('^[a-z][a-z0-9_]*$') or description:match('^[%w_.]+%.([a-z][a-z0-9_]*)%.run%.perform%(')
end
