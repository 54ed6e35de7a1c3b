"""Job events: their history in the store, and the server-sent event streams that bring them to clients.

The history (streams in the store) is the truth; notifications over pub/sub only announce new events. A
process has one `EventRelay`, one `Topic` for each job or owner that is watched, and one `Subscriber` for each
open stream. This package imports `access`, `http` and `store`. No event may be skipped, repeated or
reordered, and one slow client must never delay another.
"""
