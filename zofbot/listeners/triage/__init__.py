"""What people do about a failure: buttons, forms, and the message shortcut."""
