"""The application: the parts are made and put together here, and nowhere else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from hybrid_runtime._version import __version__
from hybrid_runtime.api.edge import Edge
from hybrid_runtime.api.gauges import Gauges
from hybrid_runtime.api.hub import Hub
from hybrid_runtime.api.openapi import describe
from hybrid_runtime.api.parts import Parts
from hybrid_runtime.api.problems import HANDLERS
from hybrid_runtime.api.rates import Rates
from hybrid_runtime.api.routes import (
    accounts,
    algorithms,
    backends,
    bundles,
    documentation,
    health,
    jobs,
    projects,
    records,
    usage,
)
from hybrid_runtime.api.steps import Journals
from hybrid_runtime.api.together import Together
from hybrid_runtime.errors import HybridRuntimeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from hybrid_runtime.api.settings import ApiSettings
    from hybrid_runtime.jobs.access import Principal
    from hybrid_runtime.jobs.store import Store

# Those that are asked for most come first: routes are tried in order.
_RESOURCES = (jobs, records, backends, bundles, algorithms, projects, accounts, usage, health, documentation)


def create_app(store: Store, settings: ApiSettings) -> FastAPI:
    """The API in front of this store, which the caller opens and closes."""
    hub = Hub(store.jobs.events_of, settings)
    gauges = Gauges(store, hub)
    app = _application()
    app.state.parts = Parts(
        store=store,
        settings=settings,
        known=Together(lambda secrets: _holders(store, secrets)),
        submitted=Together(store.jobs.submit_each),
        hub=hub,
        rates=Rates(settings.rate_per_s, settings.burst),
        journals=Journals(settings.data),
        gauges=gauges,
    )
    app.add_middleware(Edge, settings=settings, observe=gauges.request)
    return app


def _holders(store: Store, secrets: Sequence[str]) -> list[Principal | Exception]:
    """Who holds each of these secrets; one that several requests carry is looked up once."""
    found: dict[str, Principal | Exception] = {}
    for secret in dict.fromkeys(secrets):
        try:
            found[secret] = store.accounts.authenticate(secret)
        except HybridRuntimeError as error:
            found[secret] = error
    return [found[secret] for secret in secrets]


def description() -> dict[str, Any]:
    """The OpenAPI description, which is the same for every store."""
    return describe(_application())


def _application() -> FastAPI:
    app = FastAPI(
        title="Hybrid Runtime job manager",
        version=__version__,
        lifespan=_lifespan,
        # Its pages would have the reader's browser fetch scripts from elsewhere; ours fetch nothing.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        exception_handlers=HANDLERS,
        redirect_slashes=False,
    )
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    for resource in _RESOURCES:
        app.include_router(resource.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.parts.hub.close()
