-- Which of FAL's endpoints are refused just now: shared by all scripts, after accounts.lua. An endpoint is named by
-- the model. What opens and closes its circuit stands in circuits.lua.

local function model_of(image_id)
  local job_id = call('HGET', K.image(image_id), 'job_id')
  return job_id and call('HGET', K.job(job_id), 'model') or nil
end

-- Each endpoint whose circuit is open -> the image that may try it, or ''. Read once in a script.
local open_endpoints
local function refusing()
  if not open_endpoints then
    open_endpoints = {}
    for _, model in ipairs(call('SMEMBERS', K.endpoints())) do
      open_endpoints[model] = text(call('HGET', K.endpoint(model), 'probe_image'))
    end
  end
  return open_endpoints
end

-- The endpoint that this image has to wait for, or nothing. It costs next to nothing while no circuit is open.
local function refused_by(image_id)
  if not next(refusing()) then return nil end
  local model = model_of(image_id)
  local probe = model and refusing()[model]
  if not probe or probe == image_id then return nil end
  return model
end

-- Whether the image is parked at its endpoint. Its members there that are not are left-overs.
local function waits_for_endpoint(image_id)
  return tonumber(call('ZSCORE', ARQ_QUEUE .. GENERATION, image_id)) == AT_ENDPOINT
end

local function leave_endpoint(image_id, model)
  if not model then return end
  call('ZREM', K.endpoint_waiting(model), image_id)
  call('ZREM', K.endpoint_since(model), image_id)
end

-- Whether the endpoint knows of an image that is parked at it, so that it will be let go of.
local function endpoint_keeps(image_id)
  local model = model_of(image_id)
  if not model or call('SISMEMBER', K.endpoints(), model) == 0 then return false end
  return call('ZSCORE', K.endpoint_waiting(model), image_id) and call('ZSCORE', K.endpoint_since(model), image_id)
end
