-- Unfinished work at one moment, from the sizes of what is there anyway: a scrape costs the same with any number of jobs.
-- Returns {at, {images: waiting, fetching, awaiting confirmation, preparing, at FAL, storing}, {webhooks: due or under way,
-- later}, dead letters}. The images add up to all that have no end yet.
local at, images, batch = now_ms(), ARQ_QUEUE .. GENERATION, ARQ_QUEUE .. BATCH
-- an image leaves its queue when it is final
local all = call('ZCARD', images)
local fetching = call('ZCOUNT', images, AWAITING_FETCH, AWAITING_FETCH)
local unconfirmed = call('ZCOUNT', images, AWAITING_CONFIRMATION, AWAITING_CONFIRMATION)
-- a worker holds it, or will follow it again: FAL has it, or had it
local begun = call('ZCOUNT', images, RUNNING, '+inf') + call('ZCOUNT', images, '-inf', FOLLOW_NOW)
local preparing = math.min(call('ZCARD', K.ahead()), begun)
local at_fal = math.min(call('ZCARD', K.permits()), begun - preparing)
local waiting = all - fetching - unconfirmed - begun
local due = call('ZCOUNT', batch, '-inf', at) + call('ZCOUNT', batch, RUNNING, '+inf')
return cmsgpack.pack({at, {waiting, fetching, unconfirmed, preparing, at_fal, begun - preparing - at_fal},
  {due, call('ZCARD', batch) - due}, call('ZCARD', K.dead())})
