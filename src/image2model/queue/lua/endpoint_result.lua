-- FAL gave an image's result, if not the one that was hoped for, and it is no 5xx. {image_id}
endpoint_delivers(model_of(unpack(cmsgpack.unpack(ARGV[1]))))
return 1
