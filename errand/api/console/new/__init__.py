"""The form for a new job: its fields by the type's JSON schema, options, curl line, and its way to the API."""
