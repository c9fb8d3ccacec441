"""A stage that asks a URL; run by `test_remix_stage_runner.py` in a locked-up child."""

import os
import urllib.request


def ask(request, progress):
    body = ""
    try:
        with urllib.request.urlopen(request["url"], timeout=5) as answer:
            body = answer.read().decode()
    except OSError as error:
        body = f"refused: {error}"
    environment = {name: value for name, value in os.environ.items() if name != "RECASTER_COPY_API_KEY"}
    return {"body": body, "key": os.environ.get("RECASTER_COPY_API_KEY"), "environment": environment}
