.venv
.env
.errand*
log.txt
__pycache__/
*.egg-info/
.pytest_cache/
