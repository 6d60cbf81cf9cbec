-- The type of a job. The payload is packed, so its description tells the type: the type's name in what Errand stores, the
-- call's text in what others do.
-- gives name_type

-- The type that a description tells, nothing where it tells none.
function name_type(description)
  return description:match('^[a-z][a-z0-9_]*$') or description:match('^[%w_.]+%.([a-z][a-z0-9_]*)%.run%.perform%(')
end
