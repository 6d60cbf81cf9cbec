"""The format of e-mail (RFC 5322, RFC 2045 to 2049): addresses, header fields, parts, text."""
