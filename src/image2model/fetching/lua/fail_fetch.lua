-- The pictures of a fetch cannot be had: the images that wait for them fail. {fetch_id, token, error, keep} `error`: as JSON.
-- `keep`: the addresses stay for a retry.
-- Returns {{image_id, model}, ...}: those that have failed.
local fetch_id, token, error, keep = unpack(cmsgpack.unpack(ARGV[1]))
local failed, at = {}, now_ms()
if not holds_fetch(fetch_id, token) then return cmsgpack.pack(failed) end
for _, id in ipairs(images_of_fetch(fetch_id)) do
  if tonumber(call('ZSCORE', ARQ_QUEUE .. GENERATION, id)) == AWAITING_FETCH then
    local model = text(call('HGET', K.job(text(call('HGET', K.image(id), 'job_id'))), 'model'))
    if move(id, 'failed', {'error', error}, at) then failed[#failed + 1] = {id, model} end
  end
end
if keep then dequeue(FETCH, fetch_task(fetch_id)) else erase_fetch(fetch_id) end
return cmsgpack.pack(failed)
