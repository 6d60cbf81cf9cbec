"""The applications in examples/."""
