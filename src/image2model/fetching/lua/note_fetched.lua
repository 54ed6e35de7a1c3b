-- One picture of a fetch is stored: its address is erased. {fetch_id, token, index, picture} `picture`: as JSON.
-- Returns 1, or 0 if another worker has the fetch, or no image needs it any more.
local fetch_id, token, index, picture = unpack(cmsgpack.unpack(ARGV[1]))
if not holds_fetch(fetch_id, token) then return 0 end
call('HSET', K.fetch(fetch_id), 'got:' .. index, picture)
call('HDEL', K.fetch(fetch_id), 'url:' .. index)
return 1
