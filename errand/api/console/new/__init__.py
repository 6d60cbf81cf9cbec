"""The form for a new job: fields made of the type's JSON schema, options, a curl line, and posting it."""
