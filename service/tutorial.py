"""The three endpoints of FastAPI's background-task tutorial, with the work in RQ instead of in the web process."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from errand.api.background_tasks import Tasks
from errand.api.console.redirect import find_console, redirect_to_console
from errand.api.http.openapi import PROBLEMS
from errand.api.http.prefix import link
from jobs import email as email_job
from jobs import item, log

hello = APIRouter(tags=["tutorial"], responses=PROBLEMS)
router = APIRouter(tags=["tutorial"], responses=PROBLEMS)


@hello.get("/", responses={307: {"description": "To the console, for a browser"}})
async def read_root(request: Request, response: Response) -> Any:
    """Say hello, and where the rest is; lead a browser to the console, where there is one."""
    if found := redirect_to_console(request):
        return found
    console = find_console(request)
    response.headers["Vary"] = "Accept"
    links = {"docs": link("/docs"), "dashboard": link("/dashboard")}
    return {"Hello": "World", "links": links | ({"console": console} if console else {})}


@router.post("/send-notification/{email}")
async def send_notification(
    email: Annotated[email_job.Address, Path(examples=["ada@example.com"])],
    message: Annotated[email_job.Text, Query(min_length=1, max_length=10_000)],
    tasks: Tasks,
) -> dict[str, Any]:
    """Send an e-mail, then log that it was asked for: two jobs, the second after the first has succeeded."""
    mail = tasks.add_task(email_job.run, email_job.Message(to=[email], subject="Notification", text=message))
    line = tasks.add_task(log.run, f"Notification request received for {email}")
    return {"message": "Notification will be sent in the background", "jobs": [mail, line]}


@router.post("/items/{item_id}/process")
async def process_item(item_id: item.ItemId, tasks: Tasks) -> dict[str, Any]:
    """Process an item in a worker, with a database session of its own."""
    job = tasks.add_task(item.run, item_id)
    return {"message": f"Processing for item {item_id} started in background.", "jobs": [job]}
