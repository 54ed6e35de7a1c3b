-- The smallest parts of the shared library. The constants before this file come from keys.py, arq_keys.py, records.py,
-- data_versions.py and domain.py (see scripts.py).

local call = redis.call

local cached_now

-- The same throughout a script.
local function now_ms()
  if not cached_now then
    local t = redis.call('TIME')
    cached_now = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return cached_now
end

local function num(value) return tonumber(value or 0) or 0 end
local function text(value) if value then return value end return '' end

-- The endpoint that an image's next request is for: its job's model, or in a phase of its preparation the remover.
local function model_of(image_id)
  local row = call('HMGET', K.image(image_id), 'job_id', 'phase_model')
  if text(row[2]) ~= '' then return row[2] end
  return row[1] and call('HGET', K.job(row[1]), 'model') or nil
end
