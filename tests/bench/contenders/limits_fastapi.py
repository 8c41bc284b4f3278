"""What a Python team would write: FastAPI on uvicorn, and the `limits` library's moving window over Redis.

No authentication, one rule, no headers, no event: it does less than the door's single rule does.
"""

import os
from contextlib import AbstractContextManager

from tests.bench.contenders.asgi import UVICORN
from tests.bench.contenders.contender import Running, Site, serving
from tests.bench.requests import singles
from tests.bench.server import Server


def start(site: Site) -> AbstractContextManager[Running]:
    server = Server([*UVICORN, "--factory", f"{__name__}:app"], folder=site.folder, STORE_URL=site.valkey.url)
    return serving(server, singles(["unused"]))


def app():
    """Imported here and not above, so that the table of contenders can be read without these packages."""
    from fastapi import FastAPI, Response
    from limits import RateLimitItemPerMinute
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import MovingWindowRateLimiter
    from pydantic import BaseModel

    storage = RedisStorage(f"async+{os.environ['STORE_URL']}", implementation="redispy")
    limiter = MovingWindowRateLimiter(storage)
    per_user = RateLimitItemPerMinute(1_000_000)
    application = FastAPI()

    class Check(BaseModel):
        user: str
        ip: str
        route: str

    async def check(asked: Check, response: Response) -> dict[str, bool]:
        allowed = await limiter.hit(per_user, asked.user)
        if not allowed:
            response.status_code = 429
        return {"allowed": allowed}

    application.post("/v1/check")(check)
    return application
