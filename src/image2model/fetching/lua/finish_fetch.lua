-- All pictures of a fetch are stored: its images know them and take their places in the queue.
-- {fetch_id, token, {{image_id, fields}, ...}} Returns 1, or 0 if another worker has the fetch, or no image needs it.
local fetch_id, token, images = unpack(cmsgpack.unpack(ARGV[1]))
if not holds_fetch(fetch_id, token) then return 0 end
local at = now_ms()
for _, image in ipairs(images) do
  local id, fields = unpack(image)
  local row = call('HMGET', K.image(id), 'fetch', 'job_id', 'fetch_turn')
  if row[1] == fetch_id then
    call('HSET', K.image(id), 'fetch', '', 'fetch_turn', '', unpack(fields))
    if tonumber(call('ZSCORE', ARQ_QUEUE .. GENERATION, id)) == AWAITING_FETCH then
      call('ZADD', ARQ_QUEUE .. GENERATION, num(row[3]), id)
      notify_queue(GENERATION)
    end
    if call('HGET', K.job(row[2]), 'waiting_for') == 'fetch' then call('HSET', K.job(row[2]), 'waiting_for', '') end
    emit_image(row[2], id, at)
  end
end
erase_fetch(fetch_id)
return 1
