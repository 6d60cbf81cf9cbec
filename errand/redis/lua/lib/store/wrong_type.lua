-- Which key has a value of a wrong type, where a command says no more than WRONGTYPE.
-- gives name_wrong

-- An error's text, with the first of some keys, {key, type, key, type, …}, that has a value of another type. The words
-- are read by errand/redis/wrong_type.py.
function name_wrong(broken, expected)
  for i = 1, #expected, 2 do
    local kind = redis.call('TYPE', expected[i]).ok
    if kind ~= 'none' and kind ~= expected[i + 1] then
      return 'WRONGTYPE key ' .. expected[i] .. ' is a ' .. kind .. ', not a ' .. expected[i + 1]
    end
  end
  return type(broken) == 'table' and broken.err or tostring(broken)
end
