-- The holder lets go of a task. {queue, id, token, finish, score, delay_ms or false, most_ends}
-- `finish` removes it; otherwise it goes back to `score`, or to the time in `delay_ms` from now. An image whose runs
-- end `most_ends` times in one attempt without an end of its own has failed: nobody knows why.
-- Returns 0 when the token is not the holder's; a final image is out of the queue already.
local queue, id, token, finish, score, delay, most_ends = unpack(cmsgpack.unpack(ARGV[1]))
local image, refused = queue == GENERATION, nil
local owner = call('GET', ARQ_IN_PROGRESS .. id)
if image and not holds(id, token) then return 0 end
if owner and owner ~= token then return 0 end
if not owner and not image then return 0 end
if delay then score = now_ms() + delay end
if image then
  local at, on_purpose = now_ms(), not finish
  if finish then
    -- the function ended and the image did not: that is no end, it runs again
    local ends = count_unexpected(id, token)
    if ends >= most_ends then
      -- what FAL has taken is paid for, whatever it is that keeps us from its result
      local request_id = text(call('HGET', K.image(id), 'request_id'))
      if request_id ~= '' then book(id, false, false, request_id, '', false, true, token, at) end
      if move(id, 'failed', {'error', UNEXPECTED_ERROR}, at) then return 1 end
    end
    finish, score = false, at + 1000 * ends
  end
  -- whoever lets go has not died of it
  call('HSET', K.image(id), 'fence', '', 'hazard', '')
  if sent(id) then
    if score < CLOCK or score < at then score = FRONT_RUNNING else score = FOLLOW_AT + score end
  else
    -- a place among those at FAL is no longer its own: from there it would pass by pauses and permits
    score = math.max(score, FRONT)
    release_permit(id)
    if call('HGET', K.image(id), 'status') == 'preparing' then move(id, 'queued', {}, at) end
    if not delay and on_purpose then refused = refused_by(id) end
  end
end
if finish then
  dequeue(queue, id)
else
  call('DEL', ARQ_IN_PROGRESS .. id)
  call('ZREM', K.leases(queue), id)
  if refused then
    wait_for_endpoint(id, refused, score, now_ms())
  else
    call('ZADD', ARQ_QUEUE .. queue, score, id)
  end
  ring(queue)
end
return 1
