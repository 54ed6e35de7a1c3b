-- The smallest parts of the shared library. The constants before this file come from keys.py, arq_keys.py, records.py,
-- data_versions.py and domain.py (see scripts.py).

local call = redis.call

local function now_ms()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function num(value) return tonumber(value or 0) or 0 end
local function text(value) if value then return value end return '' end
