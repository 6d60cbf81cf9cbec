# What a platform and the Dockerfile install: this folder's pyproject.toml. To pin every version, write it anew:
#   pip freeze --exclude-editable > requirements.txt
.
