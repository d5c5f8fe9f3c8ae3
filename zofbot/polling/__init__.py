"""The walk, in order: Zof is read, what deserves a message is decided, and the message is sent."""
