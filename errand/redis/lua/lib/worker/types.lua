-- The types that this worker has, and which jobs are of others.
-- gives known_types, find_code, name_unknown
-- include base, observe/type

-- The first byte of a payload packed in a window of 4 KB, as errand/store/fields.py does; RQ's has 120.
local PACKED_BY_US = 72
local codes = {}
known_types = '' -- « name=code name=code», as the worker sends them; '' for one that takes all

-- The hash of the code in which this worker has a type, false where it has none.
function find_code(job_type)
  if known_types == '' then return '-' end
  local code = codes[job_type]
  if code == nil then
    local _, last = known_types:find(' ' .. job_type .. '=', 1, true)
    code = last and known_types:sub(last + 1, last + keys.CODE_LENGTH) or false
    codes[job_type] = code
  end
  return code
end

-- The type of a job if this worker doesn't have it; nothing where it has it, or can't know before it reads the payload:
-- jobs that are stored with RQ may have any description.
function name_unknown(description, data)
  if find_code(description) then return nil end
  if data:byte() ~= PACKED_BY_US and not description:find('(', 1, true) then return nil end
  local job_type = name_type(description)
  return job_type and not find_code(job_type) and job_type or nil
end
