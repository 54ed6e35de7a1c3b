-- The circuit breakers of the account, of FAL as a whole and of each endpoint. Needs queue.lua.
--
-- An endpoint's hash counts its failures in a row (`post_failures`, `result_failures`). While its circuit is open it
-- also holds `opened_at`, `why` (refused, post, lost or result: the last probe's fault), FAL's message (`words`), and
-- the probes: the next may start at `probe_at`, the gap after it is `probe_gap`, and `probe_image` probes until
-- `probe_until` at most. `probed_turn` and `probed_id` are the score and id of the last image that probed.

local ENDPOINT_FIELDS = {'opened_at', 'why', 'words', 'status', 'fal_type', 'probe_at', 'probe_gap', 'last_gap',
  'probe_image', 'probe_until', 'probed_turn', 'probed_id', 'post_failures'}

-- Whether generations are paused only for a reason that was inferred from several failing endpoints.
local function paused_by_endpoints()
  local reason = call('HGET', K.circuit(), 'inferred')
  return reason and call('HLEN', K.pause(GENERATION)) == 1 and call('HEXISTS', K.pause(GENERATION), reason) == 1
end

-- A clock that stops while generations are paused; patience is measured by it. It does not stop during a pause that was
-- inferred from the endpoints themselves: if nothing else were accepted, their images would wait without end.
local function unpaused_clock(at)
  if paused_by_endpoints() then return at - num(call('HGET', K.circuit(), 'stood_still_ms')) end
  return at - total_pause(at)
end

local function renew_endpoint(model)
  call('PEXPIRE', K.endpoints(), FLEET_TTL)
  call('PEXPIRE', K.endpoint(model), FLEET_TTL)
  call('PEXPIRE', K.endpoint_waiting(model), FLEET_TTL)
  call('PEXPIRE', K.endpoint_since(model), FLEET_TTL)
end

-- The image waits for its endpoint, out of sight of every pick. It keeps its place in the fair order (`score`, unless
-- that is a time), and its patience counts from its first wait. If it led a content, the images that wait for its run
-- are released to wait themselves: their patience must not begin when its own ends.
local function await_endpoint(image_id, model, score, at)
  local image = K.image(image_id)
  local row = call('HMGET', image, 'endpoint_since', 'endpoint_turn', 'digest')
  local since, kept_score, digest = num(row[1]), num(row[2]), text(row[3])
  if since == 0 then since = unpaused_clock(at) end
  if kept_score == 0 then kept_score = score < DUE_AT and math.max(score, START_NEXT) or START_NEXT end
  call('HSET', image, 'endpoint_since', since, 'endpoint_turn', kept_score, 'start_tries', 0, 'first_try_at', '')
  call('ZADD', ARQ_QUEUE .. GENERATION, AWAITING_ENDPOINT, image_id)
  call('ZADD', K.endpoint_waiting(model), kept_score, image_id)
  call('ZADD', K.endpoint_since(model), since, image_id)
  renew_endpoint(model)
  stop_leading(image_id, digest)
end

-- All images that wait for an endpoint return to their places in the fair order.
local function release_endpoint_waiters(model)
  local waiting, queue = K.endpoint_waiting(model), ARQ_QUEUE .. GENERATION
  while true do
    local found = call('ZRANGE', waiting, 0, 499, 'WITHSCORES')
    if #found == 0 then break end
    local ids, scores = {}, {}
    for i = 1, #found, 2 do ids[#ids + 1] = found[i] end
    for i, score in ipairs(call('ZMSCORE', queue, unpack(ids))) do
      if tonumber(score) == AWAITING_ENDPOINT then
        scores[#scores + 1] = found[2 * i]
        scores[#scores + 1] = ids[i]
      end
    end
    if #scores > 0 then call('ZADD', queue, 'XX', unpack(scores)) end
    call('ZREMRANGEBYRANK', waiting, 0, #ids - 1)
  end
  call('DEL', K.endpoint_since(model))
  notify_queue(GENERATION)
end

local function close_endpoint(model)
  call('SREM', K.endpoints(), model)
  call('HDEL', K.endpoint(model), unpack(ENDPOINT_FIELDS))
  release_endpoint_waiters(model)
  cached_circuits = nil
end

-- Schedules the next probe after the gap, which doubles up to the last one.
local function probe_later(model, at)
  local circuit = K.endpoint(model)
  local row = call('HMGET', circuit, 'probe_gap', 'last_gap')
  local gap, last = num(row[1]), num(row[2])
  call('HSET', circuit, 'probe_at', at + gap, 'probe_gap', math.min(gap * 2, last))
  call('HDEL', circuit, 'probe_image', 'probe_until')
  cached_circuits = nil
end

-- Lets the next waiting image probe its endpoint: the one behind the last that did, so that no single image keeps the
-- circuit open. Returns its id, or nothing where none waits.
local function probe_next(model, at, within)
  local circuit, waiting = K.endpoint(model), K.endpoint_waiting(model)
  local last = call('HMGET', circuit, 'probed_turn', 'probed_id')
  local last_score, last_id = num(last[1]), text(last[2])
  local function first(from)
    local found = call('ZRANGEBYSCORE', waiting, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 200)
    for i = 1, #found, 2 do
      local id, score = found[i], tonumber(found[i + 1])
      if not awaits_endpoint(id) then
        remove_endpoint_waiter(id, model)
      elseif from == '-inf' or score > last_score or id > last_id then
        return id, score
      end
    end
  end
  local id, score = nil, nil
  if last_id ~= '' then id, score = first(last_score) end
  if not id then id, score = first('-inf') end
  if not id then return nil end
  remove_endpoint_waiter(id, model)
  call('ZADD', ARQ_QUEUE .. GENERATION, START_NEXT, id)
  call('HSET', circuit, 'probe_image', id, 'probe_until', at + within, 'probed_turn', score, 'probed_id', id)
  cached_circuits = nil
  notify_queue(GENERATION)
  return id
end

-- FAL accepted a POST, which closes the endpoint's circuit if the POST was sent after it opened. If the circuit opened
-- because results fail, accepting proves nothing: the next probe follows after its gap, and only a result closes it.
local function endpoint_accepted(image_id, posted_at, at)
  call('DEL', K.endpoints_refused(), K.endpoints_failing())
  local model = model_of(image_id)
  if not model then return end
  call('HDEL', K.endpoint(model), 'post_failures')
  local row = call('HMGET', K.endpoint(model), 'opened_at', 'why', 'probe_image')
  if not row[1] then return end
  remove_endpoint_waiter(image_id, model)
  if row[2] == 'result' then
    if row[3] == image_id then probe_later(model, at) end
  elseif posted_at >= num(row[1]) then
    close_endpoint(model)
  end
end

-- FAL returned a result that is no 5xx.
local function endpoint_delivered(model)
  if not model or call('HDEL', K.endpoint(model), 'result_failures') == 0 then return end
  if call('HGET', K.endpoint(model), 'why') == 'result' then close_endpoint(model) end
end

-- Pauses generations because of the account or of FAL. The time to the next trial starts at `first_gap` and doubles
-- after each failed trial.
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

-- Counts a fault of FAL or of the account, shown by FAL's reply or by a failed connection. The account's opens the
-- circuit at once, FAL's after `threshold` in a row. Returns whether generations are paused now.
local function count_fault(reason, threshold, first_gap, last_gap, at)
  local failures = call('HINCRBY', K.circuit(), 'failures', 1)
  call('PEXPIRE', K.circuit(), FLEET_TTL)
  if reason == 'fal' and failures < threshold and not queue_paused(GENERATION) then return false end
  call('HDEL', K.circuit(), 'inferred')
  open_circuit(reason, first_gap, last_gap, at)
  return true
end
