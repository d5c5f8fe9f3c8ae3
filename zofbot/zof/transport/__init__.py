"""HTTP to Zof: the client with its key and proxy, one attempt of a call, bodies within limits."""
