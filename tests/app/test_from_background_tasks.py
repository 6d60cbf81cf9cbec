"""What docs/from-background-tasks.md shows works as written, and what it says of both is true."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from redis import Redis
from starlette.testclient import TestClient

from errand import Errand
from errand.fastapi import Tasks
from tests.app.moving import RunTests, importing, read_page, write
from tests.app.shop.jobs import reminder, welcome

PAGE = read_page("from-background-tasks.md")
OWN = {
    "shop/users.py": "from pydantic import BaseModel\n\n\nclass NewUser(BaseModel):\n    email: str\n    name: str\n",
    "shop/mail.py": "sent = []\n\n\ndef send_welcome(email, name):\n    sent.append((email, name))\n",
    "shop/crm.py": "noted = []\n\n\nasync def add_contact(user):\n    noted.append(user.name)\n",
}


def test_before_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, OWN, PAGE.before)
    with importing(tmp_path, monkeypatch):
        app = import_module("shop.main").app
        answer = TestClient(app).post("/signup", json={"email": "ada@example.com", "name": "Ada"})
        assert answer.status_code == 201
        assert import_module("shop.mail").sent == [("ada@example.com", "Ada")]
        assert import_module("shop.crm").noted == ["Ada"]


def test_after_runs_as_it_stands(tmp_path: Path, run_tests: RunTests) -> None:
    write(tmp_path, OWN, PAGE.after)
    assert len(run_tests(tmp_path, "shop.main:errand")) == 1


def test_an_endpoint_may_have_both_while_functions_move(host: FastAPI, redis: Redis) -> None:
    done: list[str] = []

    @host.post("/both")
    async def both(background_tasks: BackgroundTasks, tasks: Tasks) -> str:
        background_tasks.add_task(done.append, "here")
        return tasks.add_task(welcome.run, "ada")

    with TestClient(host) as client:
        id = client.post("/both").json()
    assert (done, redis.lrange("rq:queue:shop", 0, -1)) == (["here"], [id.encode()])


def test_where_the_endpoint_raises_nothing_is_stored(host: FastAPI, redis: Redis) -> None:
    @host.post("/refuse")
    async def refuse(tasks: Tasks) -> None:
        tasks.add_task(welcome.run, "ada")
        raise HTTPException(409)

    with TestClient(host) as client:
        assert client.post("/refuse").status_code == 409
    assert redis.keys("rq:job:*") == []


def test_a_dependencys_tasks_are_the_endpoints(host: FastAPI, redis: Redis) -> None:
    def audit(tasks: Tasks) -> None:
        tasks.add_task(welcome.run, "audit")

    @host.post("/audited")
    async def audited(_: Annotated[None, Depends(audit)], tasks: Tasks) -> str:
        return tasks.add_task(reminder.run, "ada")

    with TestClient(host) as client:
        second = client.post("/audited").json()
    assert redis.zrange("rq:deferred:shop", 0, -1) == [second.encode()]


def test_a_dependency_with_yield_is_refused_with_the_scope_that_it_needs(errand: Errand) -> None:
    async def audit(tasks: Tasks):
        yield tasks

    with pytest.raises(Exception, match=r'scope of "request", it cannot depend on .* scope "function"'):

        @FastAPI(lifespan=errand.lifespan).post("/audited")
        async def audited(_: Annotated[None, Depends(audit)]) -> None: ...
