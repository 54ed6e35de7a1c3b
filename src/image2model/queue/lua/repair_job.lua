-- Compares one job's unfinished images with the queue and repairs both. ARGV: job_id, as it is.
-- Also renews the TTL of all keys of the job, ARQ's included. Returns how many repairs were made.
local job_id = ARGV[1]
local job, at, repairs = K.job(job_id), now_ms(), 0
if call('EXISTS', job) == 0 then
  call('ZREM', K.unfinished(), job_id)
  return 0
end
local true_counts, finished = {}, true
for _, id in ipairs(image_ids(job_id)) do
  local status = text(call('HGET', K.image(id), 'status'))
  if UNFINISHED[status] then
    finished = false
    local score = tonumber(call('ZSCORE', ARQ_QUEUE .. GENERATION, id))
    local leased = call('ZSCORE', K.leases(GENERATION), id)
    local known = not has_arq_keys(GENERATION) or call('EXISTS', ARQ_JOB .. id) == 1
    local lost = not score or not known or (score >= RUNNING and not leased)
    if score == AWAITING_REUSE then
      local _, leads = leader_of(text(call('HGET', K.image(id), 'digest')), id)
      lost = lost or not (leads and UNFINISHED[leads])
    end
    if score == AWAITING_WINDOW then
      local model = text(model_of(id))
      lost = lost or not call('ZSCORE', K.window_waiting(model), id)
      call('SADD', K.window_models(), model)
    end
    if score == AWAITING_CONFIRMATION then lost = lost or not call('ZSCORE', K.confirmations(), id) end
    if score == AWAITING_ENDPOINT then lost = lost or not endpoint_has_waiter(id) end
    if score == AWAITING_FETCH then
      local fetch_id = fetch_of(id)
      lost = lost or fetch_id == '' or not call('ZSCORE', ARQ_QUEUE .. FETCH, fetch_task(fetch_id))
    end
    if lost and not is_leased(id, at) then
      local new_score = sent(id) and FOLLOW_NOW or START_NEXT
      if new_score == START_NEXT then
        release_permit(id)
        if status ~= 'queued' then move(id, 'queued', {}, at) end
      end
      enqueue_image(id, new_score, at)
      repairs = repairs + 1
    end
    if has_arq_keys(GENERATION) then call('PEXPIRE', ARQ_JOB .. id, UNFINISHED_TTL) end
    if score == AWAITING_FETCH then call('PEXPIRE', ARQ_JOB .. fetch_task(fetch_of(id)), UNFINISHED_TTL) end
  end
  -- counted as it is now: the repair may have moved it
  status = text(call('HGET', K.image(id), 'status'))
  true_counts[status] = (true_counts[status] or 0) + 1
end
local ids, counts_were_right = image_ids(job_id), true
for _, status in ipairs(STATUSES) do
  local real = true_counts[status] or 0
  if num(call('HGET', job, 'n_' .. status)) ~= real then
    call('HSET', job, 'n_' .. status, real)
    counts_were_right, repairs = false, repairs + 1
  end
end
-- a version without an event would be a gap in the history
if not counts_were_right and ids[1] then emit_image(job_id, ids[1], at) end
if not finished then
  open_job(job_id, call('HGET', job, 'owner'), num(call('HGET', job, 'created_at')))
  expire_job(job_id, UNFINISHED_TTL)
  expire_images(job_id, UNFINISHED_TTL)
elseif text(call('HGET', job, 'finished_at')) == '' then
  close_job(job_id, at)
  repairs = repairs + 1
end
return repairs
