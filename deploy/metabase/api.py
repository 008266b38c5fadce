"""A client of Metabase's REST API: JSON in, JSON out, and errors that name the refused request and the reason."""
import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any, Optional

TIMEOUT_S = 60  # adding a database tests the connection first


class Unreachable(Exception):
    """There is no answer, or it says that Metabase is not ready. Running again may help."""


class Refused(Exception):
    """Metabase has refused the request."""

    def __init__(self, method: str, path: str, status: int, reason: str):
        super().__init__(f"{method} {path}: {status} {reason}")
        self.status = status


def reason_of(body: bytes) -> str:
    """The text of an error's body, which is JSON or plain text."""
    text = body.decode("utf-8", "replace").strip()
    try:
        found = json.loads(text)
    except ValueError:
        return text[:500] or "no reason given"
    if isinstance(found, dict):
        parts = [found.get("message"), found.get("errors"), found.get("specific-errors")]
        text = "; ".join(part if isinstance(part, str) else json.dumps(part) for part in parts if part) or text
    return text[:500]


class Metabase:
    def __init__(self, url: str):
        self.url = url.rstrip("/")
        self.session: Optional[str] = None
        self.writes = 0  # requests that change something; signing in does not count

    def call(self, method: str, path: str, body: Optional[dict[str, Any]] = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.session:
            headers["X-Metabase-Session"] = self.session
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        if method != "GET" and path != "/api/session":
            self.writes += 1
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                text = answer.read()
            return json.loads(text) if text.strip() else None
        except urllib.error.HTTPError as error:
            reason = reason_of(error.read())
            if error.code >= 500 or error.code == 429:
                raise Unreachable(f"{method} {path}: {error.code} {reason}") from error
            raise Refused(method, path, error.code, reason) from error
        except (OSError, http.client.HTTPException) as error:  # urllib's URLError is an OSError
            raise Unreachable(f"{method} {self.url}{path}: {getattr(error, 'reason', error)}") from error
        except ValueError as error:
            raise Unreachable(f"{method} {self.url}{path}: the answer is not JSON; is this Metabase?") from error

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def rows(self, path: str) -> list[dict[str, Any]]:
        """A list. Some routes wrap it into {"data": [...]}."""
        found = self.get(path)
        return found["data"] if isinstance(found, dict) else found

    def wait_for_health(self, seconds: float) -> None:
        """Waits until Metabase is up. Its first start migrates its own database, which takes minutes."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.get("/api/health").get("status") == "ok":
                    return
                why = "it is still starting"
            except (Unreachable, Refused) as error:
                why = str(error)
            if time.monotonic() >= deadline:
                raise Unreachable(f"{self.url} was not ready within {seconds:g} s: {why}")
            time.sleep(min(2.0, max(0.05, seconds / 100)))

    def sign_in(self, email: str, password: str, site_name: str) -> bool:
        """Signs in as the administrator. Returns true if it has created the administrator first."""
        properties = self.get("/api/session/properties")
        if not properties.get("has-user-setup") and properties.get("setup-token"):
            try:
                self.session = self.call("POST", "/api/setup", {
                    "token": properties["setup-token"],
                    "user": {"email": email, "password": password, "first_name": "Funnel", "last_name": "Administrator"},
                    "prefs": {"site_name": site_name, "site_locale": "en", "allow_tracking": False}})["id"]
                return True
            except Refused as error:
                if error.status != 403:  # 403: an administrator exists already
                    raise
        self.session = self.call("POST", "/api/session", {"username": email, "password": password})["id"]
        return False
