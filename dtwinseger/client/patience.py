"""How long the client waits, seconds."""

GRACE_S = 2.0  # the gateway answers at the deadline; a little more lets that answer arrive
WAIT_S = 20  # for the answer itself; after it the client follows the events, which no proxy takes for a dead connection
SILENCE_S = 30.0  # without an event or a heartbeat: the stream is broken
AGAIN_S = 0.5  # before a stream that broke is opened again
