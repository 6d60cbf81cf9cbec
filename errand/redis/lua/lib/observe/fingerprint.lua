-- What failures have in common: the job's type, the error's type, and the job's own frame without its line, which moves
-- with each change of the file.
-- gives read_failure, write_fingerprint
-- include base

-- An error as it is stored (contract/errors.py): its type and its message, two empty texts where there is none.
function read_failure(stored)
  local readable, error = pcall(cjson.decode, stored or '')
  if not readable or type(error) ~= 'table' then return '', '' end
  return tostring(error.type or ''), tostring(error.message or '')
end

local PRIME, places, written = 4294967291, {}, {}

-- Twelve digits that such failures share, and others hardly ever have.
local function digest(text)
  local one, other = 0, 0
  for i = 1, #text do
    local byte = text:byte(i)
    one, other = (one * 257 + byte) % PRIME, (other * 65599 + byte) % PRIME
  end
  return string.format('%08x%04x', one, other % 65536)
end

function write_fingerprint(job_type, error_type, frame)
  places[frame] = places[frame] or frame:gsub(':%d+ in ', ' in ', 1)
  local text = job_type .. '\n' .. error_type .. '\n' .. places[frame]
  written[text] = written[text] or digest(text)
  return written[text]
end
