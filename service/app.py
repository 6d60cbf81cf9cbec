"""This application: Errand's API, docs and dashboard over the jobs in jobs/, and the tutorial's three endpoints."""

from errand import Errand
from errand.fastapi import Service
from service import tutorial

service = Service(Errand("jobs"), routers=[tutorial.router], open_routers=[tutorial.hello])
create_app = service.create_app
from_environment = service.from_environment  # for uvicorn's --factory
