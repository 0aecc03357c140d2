"""What the Rust test tells about the running simulator, and a few words to say what was proven."""

import os
import sys
import traceback

import requests


def need(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set: these scripts are run by `cargo xtask test`, see README.md")
    return value


URL = need("SIM_URL")
CONSUMER_KEY = need("SIM_CONSUMER_KEY")
CONSUMER_SECRET = need("SIM_CONSUMER_SECRET")
TOKEN = need("SIM_OAUTH_TOKEN")
TOKEN_SECRET = need("SIM_OAUTH_TOKEN_SECRET")
OAUTH2_TOKEN = need("SIM_OAUTH2_TOKEN")
BEARER = need("SIM_BEARER_TOKEN")
BRAND = need("SIM_BRAND_ID")
CUSTOMER = need("SIM_CUSTOMER_ID")
WEBHOOK_URL = need("SIM_WEBHOOK_URL")


def sim(path: str, body: dict | None = None) -> dict:
    """A call to the simulator's own `/sim` interface."""
    call = requests.get(URL + path) if body is None else requests.post(URL + path, json=body)
    assert call.ok, f"{path}: {call.status_code} {call.text}"
    return call.json()


def prove(*proofs) -> None:
    """Runs the proofs in order; the first that fails ends the run."""
    for proof in proofs:
        name = proof.__name__.replace("_", " ")
        try:
            proof()
        except Exception:
            traceback.print_exc()
            sys.exit(f"not ok {name}")
        print(f"ok {name}")
