"""What the pages show, a file a page: read through the store as the API's routes do, and laid out for templates."""
