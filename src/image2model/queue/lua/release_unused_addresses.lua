-- Stops counting images that are final or gone against their address. {image_id, ...} -> how many were freed.
-- Every script that ends an image does this; this one repairs a store that lost an image.
local freed = 0
for _, id in ipairs(cmsgpack.unpack(ARGV[1])) do
  if not UNFINISHED[text(call('HGET', K.image(id), 'status'))] and free_address(id) then freed = freed + 1 end
end
return freed
