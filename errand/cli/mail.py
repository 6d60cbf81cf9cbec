"""`errand mail`: commands about e-mails that need no service."""

from pathlib import Path
from typing import Annotated, Any

import typer

from errand.cli.client.problem import WrongUsageError
from errand.cli.command import print_error
from errand.cli.payload import Fields, read_fields

app = typer.Typer(no_args_is_help=True, help="Look at e-mails before they are sent.")

Folder = Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="Write the parts there, as files.")]


@app.command()
def preview(
    id: Annotated[str, typer.Argument(help="The template: a folder in templates/.")],
    field: Fields = None,
    folder: Folder = None,
) -> None:
    """Render a template and print its parts, or write them into a folder; needs neither Redis nor a mail server.

    errand mail preview welcome -f name=Ada -f product=Acme -f link=https://acme.example/ --to preview
    """
    try:
        parts = _render(id, read_fields(field or []))
    except WrongUsageError as error:
        raise typer.Exit(print_error(error)) from None
    if folder is None:
        print("\n".join(f"--- {file}\n{content}" for file, content in parts.items()))
        return
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in parts.items():
        (folder / file).write_text(content, "utf-8")
        print(folder / file)


def _render(id: str, variables: dict[str, Any]) -> dict[str, str]:
    """Return a template's parts by file name; a text that is missing is made from the html. Raises WrongUsageError."""
    from errand.mail.format.text import write_text_of
    from errand.mail.templates import FILES, list_templates

    try:
        known = list_templates()
        if id not in known:
            raise WrongUsageError(f"there is no template {id!r}; there are {', '.join(known) or 'none'}")
        found = known[id].render(variables)
    except ValueError as error:
        raise WrongUsageError(str(error)) from None
    text = write_text_of(found.html) if found.text is None and found.html else found.text
    given = {"subject": found.subject, "text": text, "html": found.html}
    return {FILES[part]: content.rstrip("\n") + "\n" for part, content in given.items() if content is not None}
