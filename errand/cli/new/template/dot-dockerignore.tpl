# Everything except what the Dockerfile copies: no environment, data, secret or history gets into a layer.
*
!requirements.txt
!pyproject.toml
!worker.py
!service
!jobs
**/__pycache__
**/*.py[co]
