"""The form of a subscription: its fields, and what is read from them."""
