"""Which Redis is used: the embedded one, a plain URL, or the primary behind Sentinels or in a cluster.

All keys lie in one slot, so a Redis Cluster is used like one primary with replicas, found by asking the nodes who holds
that slot. Replication is asynchronous; therefore a write must be confirmed by a replica, so that whatever is sent to
Slack was first recorded on two servers.
"""
