# All but what the Dockerfile copies: no environment, no data, no secret and no history gets into a layer.
*
!requirements.txt
!pyproject.toml
!worker.py
!service
!jobs
**/__pycache__
**/*.py[co]
