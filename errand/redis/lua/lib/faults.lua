-- What went wrong, in words.
-- rare
-- gives describe_fault

-- What an error says: Redis raises tables, Lua raises texts.
function rare.describe_fault(error)
  return type(error) == 'table' and error.err or tostring(error)
end
