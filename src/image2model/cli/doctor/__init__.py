"""What `image2model doctor` looks at, a file to each part of the service.

Who calls it: the command. A check changes nothing, except for one small object that the storage's check
puts and deletes, and for the webhooks' secret, which is made by whoever asks first.
"""
