-- The result to reuse is gone: the holder's image starts a run of its own. {image_id, token, digest, source}
-- Returns 1, or 0 if another worker holds the image.
local id, token, digest, source = unpack(cmsgpack.unpack(ARGV[1]))
if not holds_fence(id, token) then return 0 end
for _, name in ipairs({K.reuse(digest), K.cutout(digest)}) do
  if call('GET', name) == source then call('DEL', name) end
end
call('HSET', K.image(id), 'reuse_of', '', 'reuse_main', '')
return 1
