"""Models, errors and text functions that every layer may use; they import no I/O library."""
