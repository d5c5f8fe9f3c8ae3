"""What people and timers ask for beside alerts: triage, runs, the canary, reports, statistics."""
