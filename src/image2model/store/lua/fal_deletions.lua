-- What is to be deleted at FAL (I2M_FAL_PRIVACY=private). Needs queue.lua.
-- A request is in `kept_at_fal` from the step that stores its id, and moves to `fal_deletions` in the step that ends it:
-- so none is forgotten, and none is deleted before its result is stored. `fal_deletion_entries`: request -> {image id,
-- tries, when FAL first denied it}. Requests that were sent under another setting are in neither.

-- Queues the task that deletes, or brings it forward. One that runs looks again before it ends.
local function schedule_fal_deletions(at)
  local id = 'delete_at_fal'
  local score = call('ZSCORE', ARQ_QUEUE .. MAINTENANCE, id)
  if not score then
    if not is_postponed(id, id) then enqueue(MAINTENANCE, id, id, '', at, at) end
  elseif tonumber(score) > at and tonumber(score) < RUNNING then
    call('ZADD', ARQ_QUEUE .. MAINTENANCE, at, id)
    notify_queue(MAINTENANCE)
  end
end

-- FAL has this request: it is deleted there in `keep_ms` at the latest. `keep_ms` false: never.
local function keep_at_fal(request_id, image_id, keep_ms, at)
  if not keep_ms or call('ZSCORE', K.fal_deletions(), request_id) then return end
  call('HSETNX', K.fal_deletion_entries(), request_id, cjson.encode({image_id, 0, 0}))
  call('ZADD', K.kept_at_fal(), 'NX', at + keep_ms, request_id)
end

-- Nobody needs this request any more: it is deleted at FAL, from `at` on.
local function delete_at_fal(request_id, at)
  if text(request_id) == '' or call('ZREM', K.kept_at_fal(), request_id) == 0 then return end
  call('ZADD', K.fal_deletions(), at, request_id)
  schedule_fal_deletions(at)
end

-- Whether a result, as JSON, has files that FAL may still have.
local function lacks_files(result)
  local missing = text(result) ~= '' and cjson.decode(result).missing
  return type(missing) == 'table' and #missing > 0
end

-- Errors after which the same request may still become a success.
local RESUMABLE = {unexpected_error = true, submission_unconfirmed = true}

-- The image has become final. Its request is deleted at FAL unless something of it may still be needed: then a refresh
-- or a retry does so, or the end of `kept_at_fal`. Nothing of a deleted job is needed.
local REFRESH_AFTER = 30000
local function leave_fal(image_id, job_id, to, at)
  local row = call('HMGET', K.image(image_id), 'request_id', 'result', 'error')
  if text(row[1]) == '' or not call('ZSCORE', K.kept_at_fal(), row[1]) then return end
  if text(call('HGET', K.job(job_id), 'deleted')) ~= '1' then
    if to == 'succeeded' and lacks_files(row[2]) then
      enqueue(BATCH, 'refresh:' .. image_id .. ':1', 'refresh_files', image_id, at + REFRESH_AFTER, at)
      return
    end
    if to == 'failed' and text(row[3]) ~= '' and RESUMABLE[cjson.decode(row[3]).code] then return end
  end
  delete_at_fal(row[1], at)
end
