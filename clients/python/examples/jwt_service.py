"""A web service that signs and verifies JWTs with a key that rotates while it runs.

The slots of examples/jwt-key are Unix times: the key in slot t signs from t on. A new token is signed with the current
key; an old one is verified with the key that was in force when it was issued.
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import jwt
import uvicorn
from fastapi import FastAPI, Header, HTTPException

from secretslots import aio

#: Clocks of signer and verifier may differ by this much around a roll-over, seconds.
OVERLAP = 60


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    address = os.environ.get("SLOTS_ADDRESS", "127.0.0.1:50051")
    token_file = os.environ.get("SLOTS_TOKEN_FILE", "data/admin.token")
    async with await aio.open(address, ["examples/jwt-key"], token_file=token_file) as secrets:
        app.state.key = secrets["examples/jwt-key"]
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/login/{name}")
async def login(name: str) -> dict[str, str]:
    key = app.state.key.current()
    issued = max(int(time.time()), key.slot)  # a key dated ahead is current at once
    return {"token": jwt.encode({"sub": name, "iat": issued, "exp": issued + 3600}, key.value.bytes(), "HS256")}


@app.get("/me")
async def me(authorization: Annotated[str, Header()] = "") -> dict[str, str]:
    name = verify(authorization.removeprefix("Bearer "))
    if name is None:
        raise HTTPException(401, "the token does not hold")
    return {"name": name}


def verify(token: str) -> str | None:
    try:
        issued = int(jwt.decode(token, options={"verify_signature": False})["iat"])
        keys = app.state.key.acceptable(issued, OVERLAP)
    except Exception:
        return None  # no token, no issue time, or a time that is no slot number
    for key in keys:
        try:
            return str(jwt.decode(token, key.value.bytes(), ["HS256"], leeway=OVERLAP)["sub"])
        except jwt.InvalidTokenError:
            continue
    return None


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
