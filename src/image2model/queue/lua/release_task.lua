-- Ends the holder's lease on a task. {queue, id, token, finish, score, delay_ms or false, most_ends}
-- `finish` removes the task; otherwise it goes back to `score`, or waits for `delay_ms`. An image whose runs return
-- `most_ends` times in one attempt without making it final has failed, for a reason that nobody knows.
-- Returns 0 when another worker holds the task. A final image has left the queue already.
local queue, id, token, finish, score, delay, most_ends = unpack(cmsgpack.unpack(ARGV[1]))
local image, blocked_by = queue == GENERATION, nil
local keeps_arq_keys = has_arq_keys(queue)
local owner = keeps_arq_keys and call('GET', ARQ_IN_PROGRESS .. id)
if image and not holds_fence(id, token) then return 0 end
if owner and owner ~= token then return 0 end
if not owner and not image then return 0 end
if delay then score = now_ms() + delay end
if image then
  local at, released_early = now_ms(), not finish
  buffer_image(id)
  if finish then
    -- the function returned, but the image is not final: it runs again
    local ends = count_unexpected(id, token)
    if ends >= most_ends then
      -- FAL bills a request that it has accepted, whether or not we get its result
      local request_id = text(call('HGET', K.image(id), 'request_id'))
      if request_id ~= '' then book(id, false, false, request_id, '', false, true, token, at) end
      if move(id, 'failed', {'error', UNEXPECTED_ERROR}, at) then return 1 end
    end
    finish, score = false, at + 1000 * ends
  end
  -- a worker that releases an image was not killed by it
  call('HSET', K.image(id), 'fence', '', 'hazard', '')
  if sent(id) then
    if score < DUE_AT or score < at then score = FOLLOW_NOW else score = FOLLOW_AT + score end
  else
    -- not with the scores of images at FAL, which pauses and permits do not hold back
    score = math.max(score, START_NEXT)
    release_permit(id)
    if call('HGET', K.image(id), 'status') == 'preparing' then move(id, 'queued', {}, at) end
    if not delay and released_early then blocked_by = blocking_endpoint(id) end
  end
end
if finish then
  dequeue(queue, id)
else
  if keeps_arq_keys then call('DEL', ARQ_IN_PROGRESS .. id) end
  call('ZREM', K.leases(queue), id)
  if blocked_by then
    await_endpoint(id, blocked_by, score, now_ms())
  else
    call('ZADD', ARQ_QUEUE .. queue, score, id)
  end
  notify_queue(queue)
end
return 1
