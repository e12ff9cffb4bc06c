"""Pushes an event to a user: python3 push.py UID EVENT JSON

CRIER_URL is Crier's push port, http://127.0.0.1:2121 unless set; CRIER_KEY a key of api.keys, if one is needed.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

URL = os.environ.get("CRIER_URL", "http://127.0.0.1:2121") + "/v1/push"
KEY = os.environ.get("CRIER_KEY", "")


class PushError(Exception):
    """Crier refused the push. code never changes from release to release; the text is for people."""

    def __init__(self, problem: dict):
        super().__init__(f"{problem.get('code')}: {problem.get('detail')}")
        self.code = problem.get("code")


def push(uids: list[str], event: str, data, tries: int = 3) -> dict:
    """Returns {"id", "matched": {"users", "connections"}, …}. Raises PushError, or OSError if Crier is not there."""
    # The id makes it harmless to try again: the same id is pushed once.
    message = {"id": str(uuid.uuid4()), "to": {"users": uids}, "event": event, "data": data}
    request = urllib.request.Request(URL, json.dumps(message).encode(), {"Content-Type": "application/json"})
    if KEY:
        request.add_header("Authorization", f"Bearer {KEY}")
    while True:
        tries -= 1
        wait = 1
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:  # an answer: 429 and 503 ask to come again
            if tries == 0 or error.code not in (429, 503):
                raise PushError(problem_of(error)) from error
            after = error.headers.get("Retry-After", "")
            wait = min(int(after), 10) if after.isdecimal() else 1
        except OSError:  # no answer
            if tries == 0:
                raise
        time.sleep(wait)


def problem_of(error: urllib.error.HTTPError) -> dict:
    if error.headers.get_content_type() == "application/problem+json":
        return json.load(error)
    return {"code": error.code, "detail": error.reason}  # a proxy's, not Crier's


if __name__ == "__main__":
    try:
        print(json.dumps(push([sys.argv[1]], sys.argv[2], json.loads(sys.argv[3]))))
    except (PushError, OSError) as error:
        sys.exit(f"push: {error}")
