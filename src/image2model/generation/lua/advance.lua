-- Ends a phase of an image's preparation: its cut-out is stored, and the next phase or the model's run begins.
-- {image_id, token, phase, preparation, {phase, model, digest} of the next, error}. `preparation` as JSON; all three of
-- the next are '' but the digest where the model's run comes next; `error`, as JSON, is for a budget that does not cover it.
-- Returns 1, also for a repetition; 0 if another worker holds the image; -1 if a cancel was requested, which ends the
-- image here; -4 if the budget does not allow what comes next, which fails it. The cut-out is kept in any case, and a
-- retry goes on behind it. The holder then releases the image by `release_task`.
local id, token, from, preparation, following, no_budget = unpack(cmsgpack.unpack(ARGV[1]))
local phase, model, digest = unpack(following)
if not holds_fence(id, token) then return 0 end
local image, at = K.image(id), now_ms()
local row = call('HMGET', image, 'phase', 'digest', 'request_id', 'reserved_micro', 'later_micro', 'cutout_micro',
  'cancel_requested', 'owner', 'status')
if text(row[1]) ~= from then return 1 end
if FINISHED[row[9]] then return 0 end
local before, request_id, unit = text(row[2]), row[3], num(row[5])
if before ~= '' then call('SET', K.cutout(before), id, 'PX', FLEET_TTL) end
if row[9] == 'storing' then endpoint_delivered(model_of(id)) end
local cancelled = text(row[7]) == '1'
local lacks = unit - num(row[4])
local affords = cancelled or lacks <= 0 or affordable(id, lacks, at)
local fields = {'preparation', preparation, 'phase', phase, 'phase_model', model, 'digest', digest, 'unit_micro', unit,
  'later_micro', phase ~= '' and math.max(0, unit - num(row[6])) or '', 'attempts_used', 0, 'start_tries', 0,
  'first_try_at', '', 'endpoint_since', '', 'endpoint_turn', '', 'reuse_of', '', 'reuse_main', '',
  'unexpected_attempt', '', 'unexpected_count', '', 'unexpected_by', ''}
for _, name in ipairs(ATTEMPT_FIELDS) do
  fields[#fields + 1] = name
  fields[#fields + 1] = ''
end
-- by the old endpoint and content: what waits for them moves up
release_permit(id)
stop_leading(id, before)
if cancelled then
  move(id, 'cancelled', fields, at)
elseif not affords then
  fields[#fields + 1] = 'error'
  fields[#fields + 1] = no_budget
  move(id, 'failed', fields, at)
else
  if lacks > 0 then reserve_more(id, lacks) else release_reservation(id, row[8], -lacks) end
  move(id, 'queued', fields, at)
end
delete_at_fal(request_id, at)
if cancelled then return -1 end
return affords and 1 or -4
