[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{{name}}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [ # what jobs import goes here
    "rq-errand[api,dashboard]{{range}}",
]

[project.optional-dependencies]
dev = [ # `errand up` on this machine, and the tests
    "rq-errand[local,testing]",
    "httpx2>=2.16",
    "pytest>=9.2",
]

[tool.setuptools]
packages = [] # it is run from its folder

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]
