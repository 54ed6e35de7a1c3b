-- A fetch has failed for a reason that may pass. {fetch_id, token} Returns how often it has by now; 0 if another worker has
-- the fetch, or no image needs it.
local fetch_id, token = unpack(cmsgpack.unpack(ARGV[1]))
if not holds_fetch(fetch_id, token) then return 0 end
return call('HINCRBY', K.fetch(fetch_id), 'tries', 1)
