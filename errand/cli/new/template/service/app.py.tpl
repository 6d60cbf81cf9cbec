"""This service: Errand's API, docs and console over the jobs in jobs/, and endpoints of its own."""

from errand import Errand
from errand.fastapi import Service

from service import endpoints

service = Service(Errand("jobs"), routers=[endpoints.router])
create_app = service.create_app
from_environment = service.from_environment  # for uvicorn's --factory
