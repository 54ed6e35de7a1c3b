-- The circuits of the account, of FAL as a whole and of each endpoint: shared by all scripts, after lib.lua.
--
-- An endpoint's hash holds its failures in a row (`post_failures`, `result_failures`), and while its circuit is open
-- `opened_at`, `why` (refused, post, lost, result: what the last probe met), FAL's words, and the probes:
-- `probe_at` the next may go, `probe_gap` is what follows it, `probe_image` is under way until `probe_until` at most.

local ENDPOINT_FIELDS = {'opened_at', 'why', 'words', 'status', 'fal_type', 'probe_at', 'probe_gap', 'last_gap',
  'probe_image', 'probe_until', 'probed_turn', 'probed_id', 'post_failures'}

-- Whether generations are paused for nothing but what several endpoints have shown together.
local function paused_by_endpoints()
  local reason = call('HGET', K.circuit(), 'inferred')
  return reason and call('HLEN', K.pause(GENERATION)) == 1 and call('HEXISTS', K.pause(GENERATION), reason) == 1
end

-- A clock that stands still while generations are paused: patience is counted by it. Such a pause of the endpoints'
-- own stops it only once it is over: where nothing else passes, they would wait for each other for ever.
local function patient_time(at)
  if paused_by_endpoints() then return at - num(call('HGET', K.circuit(), 'stood_still_ms')) end
  return at - stood_still(at)
end

local function renew_endpoint(model)
  call('PEXPIRE', K.endpoints(), FLEET_TTL)
  call('PEXPIRE', K.endpoint(model), FLEET_TTL)
  call('PEXPIRE', K.endpoint_waiting(model), FLEET_TTL)
  call('PEXPIRE', K.endpoint_since(model), FLEET_TTL)
end

-- An image waits for its endpoint, out of every pick's sight. It keeps its turn (`score`, where it is no time), and
-- its patience goes on from its first wait. If it led a content, those that wait for its run are free to wait
-- themselves: their patience must not begin where its own ends.
local function wait_for_endpoint(image_id, model, score, at)
  local image = K.image(image_id)
  local head = call('HMGET', image, 'endpoint_since', 'endpoint_turn', 'digest')
  local since, turn, digest = num(head[1]), num(head[2]), text(head[3])
  if since == 0 then since = patient_time(at) end
  if turn == 0 then turn = score < CLOCK and math.max(score, FRONT) or FRONT end
  call('HSET', image, 'endpoint_since', since, 'endpoint_turn', turn, 'start_tries', 0, 'first_try_at', '')
  call('ZADD', ARQ_QUEUE .. GENERATION, AT_ENDPOINT, image_id)
  call('ZADD', K.endpoint_waiting(model), turn, image_id)
  call('ZADD', K.endpoint_since(model), since, image_id)
  renew_endpoint(model)
  if digest ~= '' and call('GET', K.reuse(digest)) == image_id then
    call('DEL', K.reuse(digest))
    unpark(digest)
  end
end

-- All that wait for an endpoint go back to their turns, which have come by now: the front, in order.
local function release_waiting(model)
  local waiting, queue = K.endpoint_waiting(model), ARQ_QUEUE .. GENERATION
  while true do
    local found = call('ZRANGE', waiting, 0, 499, 'WITHSCORES')
    if #found == 0 then break end
    local ids, places = {}, {}
    for i = 1, #found, 2 do ids[#ids + 1] = found[i] end
    for i, score in ipairs(call('ZMSCORE', queue, unpack(ids))) do
      if tonumber(score) == AT_ENDPOINT then
        places[#places + 1] = found[2 * i]
        places[#places + 1] = ids[i]
      end
    end
    if #places > 0 then call('ZADD', queue, 'XX', unpack(places)) end
    call('ZREMRANGEBYRANK', waiting, 0, #ids - 1)
  end
  call('DEL', K.endpoint_since(model))
  ring(GENERATION)
end

local function close_endpoint(model)
  call('SREM', K.endpoints(), model)
  call('HDEL', K.endpoint(model), unpack(ENDPOINT_FIELDS))
  release_waiting(model)
  open_endpoints = nil
end

-- The next probe goes after the gap, which doubles up to the last one.
local function probe_later(model, at)
  local circuit = K.endpoint(model)
  local row = call('HMGET', circuit, 'probe_gap', 'last_gap')
  local gap, last = num(row[1]), num(row[2])
  call('HSET', circuit, 'probe_at', at + gap, 'probe_gap', math.min(gap * 2, last))
  call('HDEL', circuit, 'probe_image', 'probe_until')
  open_endpoints = nil
end

-- Lets the next image in line try its endpoint: the one behind the last that did, so that none of them keeps the
-- circuit open by itself. Returns its id, or nothing where none waits.
local function probe_next(model, at, within)
  local circuit, waiting = K.endpoint(model), K.endpoint_waiting(model)
  local last = call('HMGET', circuit, 'probed_turn', 'probed_id')
  local last_turn, last_id = num(last[1]), text(last[2])
  local function first(from)
    local found = call('ZRANGEBYSCORE', waiting, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 200)
    for i = 1, #found, 2 do
      local id, turn = found[i], tonumber(found[i + 1])
      if not waits_for_endpoint(id) then
        leave_endpoint(id, model)
      elseif from == '-inf' or turn > last_turn or id > last_id then
        return id, turn
      end
    end
  end
  local id, turn = nil, nil
  if last_id ~= '' then id, turn = first(last_turn) end
  if not id then id, turn = first('-inf') end
  if not id then return nil end
  leave_endpoint(id, model)
  call('ZADD', ARQ_QUEUE .. GENERATION, FRONT, id)
  call('HSET', circuit, 'probe_image', id, 'probe_until', at + within, 'probed_turn', turn, 'probed_id', id)
  open_endpoints = nil
  ring(GENERATION)
  return id
end

-- FAL accepted a POST. One that began before the circuit opened is no proof that it may close, and where results
-- fail an acceptance is none either: then the next probe goes after its gap, and a result closes it.
local function endpoint_accepts(image_id, posted_at, at)
  call('DEL', K.endpoints_refused(), K.endpoints_failing())
  local model = model_of(image_id)
  if not model then return end
  call('HDEL', K.endpoint(model), 'post_failures')
  local row = call('HMGET', K.endpoint(model), 'opened_at', 'why', 'probe_image')
  if not row[1] then return end
  leave_endpoint(image_id, model)
  if row[2] == 'result' then
    if row[3] == image_id then probe_later(model, at) end
  elseif posted_at >= num(row[1]) then
    close_endpoint(model)
  end
end

-- FAL gave a result that is no 5xx.
local function endpoint_delivers(model)
  if not model or call('HDEL', K.endpoint(model), 'result_failures') == 0 then return end
  if call('HGET', K.endpoint(model), 'why') == 'result' then close_endpoint(model) end
end

-- Generations are paused for the account's or FAL's fault. The time to the next trial begins with `first_gap`, and
-- doubles where one has failed.
local function open_circuit(reason, first_gap, last_gap, at)
  local circuit = K.circuit()
  local gap = num(call('HGET', circuit, 'probe_gap'))
  local tried = call('HDEL', circuit, 'tried') == 1
  pause_queue(GENERATION, reason, at)
  if gap == 0 or tried then
    gap = gap == 0 and first_gap or math.min(gap * 2, last_gap)
    call('HSET', circuit, 'probe_gap', gap, 'probe_at', at + gap)
  end
end

-- FAL's failure, or the account's, told by FAL's own words or by a connection that failed: the account's opens the
-- circuit at once, FAL's after `threshold` in a row. Whether generations are paused now.
local function count_fault(reason, threshold, first_gap, last_gap, at)
  local failures = call('HINCRBY', K.circuit(), 'failures', 1)
  call('PEXPIRE', K.circuit(), FLEET_TTL)
  if reason == 'fal' and failures < threshold and not queue_paused(GENERATION) then return false end
  call('HDEL', K.circuit(), 'inferred')
  open_circuit(reason, first_gap, last_gap, at)
  return true
end
