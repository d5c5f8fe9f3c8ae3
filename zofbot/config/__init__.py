"""What operators set: settings, the manifest, secrets that are replaced while running."""
