"""All schedules and all states. This storey knows no COW: it calls ``mm.step`` and compares states."""
