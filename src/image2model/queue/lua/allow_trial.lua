-- FAL answers again: the next image that is picked tries whether it is taken.
call('HSET', K.circuit(), 'trial', 1)
call('PEXPIRE', K.circuit(), FLEET_TTL)
ring(GENERATION)
return 1
