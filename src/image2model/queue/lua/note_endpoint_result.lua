-- FAL returned a result for an image that is no 5xx, even if it is not a model. {image_id}
endpoint_delivered(model_of(unpack(cmsgpack.unpack(ARGV[1]))))
return 1
