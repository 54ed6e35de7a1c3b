-- Of these images, those that are final or gone count for their address no longer. Every end of an image sees to
-- that itself; this is for a store that lost an image. {image_id, ...} -> how many were freed.
local freed = 0
for _, id in ipairs(cmsgpack.unpack(ARGV[1])) do
  if not UNFINISHED[text(call('HGET', K.image(id), 'status'))] and free_address(id) then freed = freed + 1 end
end
return freed
