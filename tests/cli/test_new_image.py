"""The image of a service that `errand new` writes is built as ours is."""

from errand.cli.new.write import read_files
from tests.support.project import ROOT

FILES = read_files({"name": "shop", "range": ""})
# What each has for itself, as the lines that the other lacks.
OURS_IN_DOCKERFILE = {
    "COPY requirements.txt .",
    "RUN pip --python /venv install --require-hashes --only-binary :all: -r requirements.txt",
    "COPY pyproject.toml README.md LICENSE ./",
    "COPY errand errand",
    "RUN pip --python /venv install --no-deps --no-build-isolation .",
    "COPY templates templates",
    "# For web; compose.yaml has the health check of the worker.",
}
THEIRS_IN_DOCKERFILE = {
    "COPY requirements.txt pyproject.toml ./",
    "RUN pip --python /venv install -r requirements.txt",
    "# For web; start a worker without it: docker run --no-healthcheck",
}


def test_the_image_is_built_as_ours_is() -> None:
    ours = (ROOT / "Dockerfile").read_text().replace("docs/deploy.md says", "README.md says").splitlines()
    theirs = FILES["Dockerfile"].splitlines()
    assert [line for line in theirs if line not in THEIRS_IN_DOCKERFILE] == (
        [line for line in ours if line not in OURS_IN_DOCKERFILE]
    )
    assert set(ours) - set(theirs) == OURS_IN_DOCKERFILE
    assert set(theirs) - set(ours) == THEIRS_IN_DOCKERFILE


def test_the_image_has_no_more_than_ours() -> None:
    ours = (ROOT / ".dockerignore").read_text().splitlines()
    assert [line for line in FILES[".dockerignore"].splitlines() if line not in ours] == []
