"""What every layer may use and no library is needed for."""
