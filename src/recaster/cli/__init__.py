"""The commands. Each is thin: it reads its arguments, calls one room and shows the result.

Exit codes are those of the errors (`recaster.errors`), 2 for a wrong argument, 130 for ctrl-C; docs/cli.md lists them.
"""

from __future__ import annotations

import sys

import typer
from typer.main import get_command

import recaster.cli.environment  # noqa: F401
from recaster import __version__
from recaster.cli import models
from recaster.cli.accounts import credits_app, keys_app, organizations_app, projects_app
from recaster.cli.api import openapi
from recaster.cli.console import fail
from recaster.cli.copy import copy, formulas_app
from recaster.cli.demo import demo
from recaster.cli.doctor import doctor
from recaster.cli.faces import persona_app, swap
from recaster.cli.overlays import read
from recaster.cli.remix import remix
from recaster.cli.restore import erase, reset
from recaster.cli.secrets import secrets_app
from recaster.cli.serve import serve, work
from recaster.cli.sources import app as sources_app
from recaster.errors import RecasterError

__all__ = ["app", "main"]

app = typer.Typer(
    name="recaster",
    help="Recasts a short vertical video for a brand.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(models.app, name="models")
app.add_typer(persona_app, name="persona")
app.add_typer(formulas_app, name="formulas")
app.add_typer(keys_app, name="keys")
app.add_typer(projects_app, name="projects")
app.add_typer(credits_app, name="credits")
app.add_typer(organizations_app, name="organizations")
app.add_typer(secrets_app, name="secrets")
app.add_typer(sources_app, name="sources")
app.command()(doctor)
app.command()(serve)
app.command("worker")(work)
app.command()(remix)
app.command()(swap)
app.command()(read)
app.command()(erase)
app.command()(reset)
app.command("copy")(copy)
app.command()(demo)
app.command()(openapi)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        code = get_command(app).main(standalone_mode=True)
    except RecasterError as error:
        code = fail(error)
    except KeyboardInterrupt:
        typer.echo("Stopped; nothing half-written was left.", err=True)
        code = 130
    sys.exit(code)
