-- Says why jobs of which nothing moves are waiting. {max_permits, max_jobs}
local max_permits, max_jobs = unpack(cmsgpack.unpack(ARGV[1]))
local at, changed, reason = now_ms(), 0, ''
if call('ZCARD', K.permits()) >= max_permits then reason = 'limit' end
local pauses = call('HKEYS', K.pause(GENERATION))
for _, name in ipairs({'fal', 'account', 'paused'}) do
  for _, set in ipairs(pauses) do if set == name then reason = name end end
end
for _, job_id in ipairs(call('ZRANGE', K.unfinished(), 0, max_jobs - 1)) do
  local job = K.job(job_id)
  local waiting = ''
  if call('EXISTS', job) == 1 then
    local counts = counts_of(job_id)
    if among(counts, UNFINISHED) > 0 and among(counts, ADVANCING) == 0 then waiting = reason end
    if text(call('HGET', job, 'waiting_for')) ~= waiting then
      call('HSET', job, 'waiting_for', waiting)
      for _, id in ipairs(image_ids(job_id)) do
        if UNFINISHED[call('HGET', K.image(id), 'status')] then
          emit_image(job_id, id, at)
          break
        end
      end
      changed = changed + 1
    end
  end
end
return changed
