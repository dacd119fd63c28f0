"""The web application: routes, middleware, OpenAPI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from interfaces.gateway.addresses import TrustedNetworks
from interfaces.http import problems
from interfaces.http.callbacks import CallbackStats
from interfaces.http.dependencies import WebDependencies
from interfaces.http.metrics import HttpStats
from interfaces.http.middleware import RequestMiddleware
from interfaces.http.models import Problem
from interfaces.http.network import ClientMiddleware
from interfaces.http.rate_limit import RateLimit
from interfaces.http.routes import (
    audit,
    auth,
    conversations,
    events,
    lives,
    messages,
    operations,
    orders,
    pages,
    people,
    privacy,
    provider_callbacks,
    refunds,
    sagas,
    widget,
)

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "content": {problems.MEDIA_TYPE: {}}},
    "503": {"model": Problem, "content": {problems.MEDIA_TYPE: {}}},
}


@dataclass(frozen=True)
class Limits:
    """Rate limits of the calls that anyone may make."""

    login: RateLimit
    sessions: RateLimit


def create_app(dependencies: WebDependencies) -> FastAPI:
    """The app over its dependencies; opens them when it starts and closes them when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for resource in dependencies.resources:
            await resource.open()
        await dependencies.hub.open()
        yield
        await dependencies.hub.close()
        for resource in dependencies.resources:
            await resource.close()

    app = FastAPI(
        title="kefu",
        summary="Customer service on an event log that you own.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    settings = dependencies.settings
    app.state.dependencies = dependencies
    app.state.http_stats = HttpStats()
    app.state.callback_stats = CallbackStats()
    app.state.limits = Limits(
        RateLimit(settings.login_per_minute, dependencies.clock),
        RateLimit(settings.sessions_per_minute, dependencies.clock),
    )
    problems.install(app)
    # The widget runs on pages of other origins. Tokens travel in a header that no browser adds by
    # itself, so another origin gains nothing that it did not have.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Kefu-Min-Position"],
        expose_headers=["Kefu-Next-Position", "Retry-After", "X-Request-Id"],
        max_age=86400,
    )
    app.add_middleware(RequestMiddleware, ids=dependencies.ids, stats=app.state.http_stats)
    app.add_middleware(ClientMiddleware, trusted=TrustedNetworks(settings.trusted_proxies))
    api = APIRouter(prefix="/api/v1", responses=_PROBLEMS)
    routers = (
        *(auth, widget, conversations, messages, people, privacy, events, lives, audit),
        *(refunds, sagas, orders, provider_callbacks),
    )
    for module in routers:
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(audit.tiles)
    app.include_router(operations.router)
    app.include_router(pages.router)
    return app
