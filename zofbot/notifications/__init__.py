"""What a notification says, as data: used by the rules that decide it and the views that draw it."""
