-- Which endpoints have an open circuit, and which images wait for them. An endpoint is named by the model. What opens
-- and closes its circuit is in circuits.lua. Needs base.lua.

local cached_circuits

-- Each endpoint with an open circuit -> the image that may probe it, or ''. Read once in a script; whatever changes a
-- circuit clears the cache.
local function open_circuits()
  if not cached_circuits then
    cached_circuits = {}
    for _, model in ipairs(call('SMEMBERS', K.endpoints())) do
      cached_circuits[model] = text(call('HGET', K.endpoint(model), 'probe_image'))
    end
  end
  return cached_circuits
end

-- Whether generations are not paused, no circuit is open, and no endpoint has a limit of its own: then a script asks for
-- none of these.
local function is_calm()
  if call('EXISTS', K.pause(GENERATION), K.endpoints(), K.fal_endpoints()) > 0 then return false end
  cached_circuits = {}
  return true
end

-- The endpoint that this image has to wait for, or nothing. It costs next to nothing while no circuit is open.
local function blocking_endpoint(image_id)
  if not next(open_circuits()) then return nil end
  local model = model_of(image_id)
  local probe = model and open_circuits()[model]
  if not probe or probe == image_id then return nil end
  return model
end

-- Whether the image waits for its endpoint. Members of an endpoint's set that do not are left over.
local function awaits_endpoint(image_id)
  return tonumber(call('ZSCORE', ARQ_QUEUE .. GENERATION, image_id)) == AWAITING_ENDPOINT
end

local function remove_endpoint_waiter(image_id, model)
  if not model then return end
  call('ZREM', K.endpoint_waiting(model), image_id)
  call('ZREM', K.endpoint_since(model), image_id)
end

-- Whether the endpoint's sets list an image that waits for it, so that it will be released.
local function endpoint_has_waiter(image_id)
  local model = model_of(image_id)
  if not model or call('SISMEMBER', K.endpoints(), model) == 0 then return false end
  return call('ZSCORE', K.endpoint_waiting(model), image_id) and call('ZSCORE', K.endpoint_since(model), image_id)
end
