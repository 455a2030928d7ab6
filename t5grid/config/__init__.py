"""overrides -> composed config -> validated cell."""
