"""Somebody's application in a folder of its own, as docs/own-app.md has it."""

from pathlib import Path

MAIN = """
from fastapi import FastAPI

from errand import Errand
from errand.fastapi import Tasks
from shop.jobs import patient, welcome

errand = Errand("shop.jobs")
app = FastAPI(lifespan=errand.lifespan)
app.mount("/errand", errand.app)


@app.post("/signup")
async def signup(email: str, tasks: Tasks) -> str:
    return tasks.add_task(welcome.run, email)


@app.post("/wait")
async def wait(tasks: Tasks) -> str:
    return tasks.add_task(patient.run)
"""
WELCOME = """
from errand import job


@job()
def run(email: str) -> str:
    return f"GREETING, {email}!"
"""
PATIENT = '''
"""Wait for a file."""

import time
from pathlib import Path

from errand import job


@job()
def run() -> str:
    while not Path("go").exists():
        time.sleep(0.05)
    return "gone"
'''


def write_shop(folder: Path) -> Path:
    """Write it; return the folder."""
    jobs = folder / "shop/jobs"
    jobs.mkdir(parents=True)
    for package in (folder / "shop", jobs):
        (package / "__init__.py").touch()
    (folder / "shop/main.py").write_text(MAIN)
    (jobs / "patient.py").write_text(PATIENT)
    greet(folder, "Welcome")
    return folder


def greet(folder: Path, greeting: str) -> None:
    """Let the job `welcome` say this."""
    (folder / "shop/jobs/welcome.py").write_text(WELCOME.replace("GREETING", greeting))
