"""HTTP to Zof: the client with its key, one attempt of a call, bodies within limits."""
