-- Whether the store takes a write. Its key ends by itself.
call('SET', K.write_probe(), now_ms(), 'PX', 60000)
