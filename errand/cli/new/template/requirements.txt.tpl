# What a platform and the Dockerfile install: this folder's pyproject.toml. To pin every version, replace it:
#   pip freeze --exclude-editable > requirements.txt
.
