"""REST of how the process and the installation are: /healthz, /metrics, /readyz."""

from __future__ import annotations

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.upkeep.ready import Prober, Readiness
from broadcast.web.headers import ResponseDefaults


def router(prober: Prober) -> Router:
    """The routes, for the application that answers everything."""
    watching = Router(tags=["operation"])
    watching.get("/healthz", summary="Tiến trình còn chạy")(_healthz)
    watching.get("/metrics", summary="Prometheus", include_in_schema=False)(_metrics)

    @watching.get(
        "/readyz",
        summary="Hệ thống làm được việc của nó; nếu không: vì sao và phải làm gì",
        responses={503: {"model": Readiness, "description": "không làm được việc"}},
    )
    async def readyz(response: Response) -> Readiness:
        readiness = await prober.ask(clock.now())
        response.status_code = 200 if readiness.status == "ok" else 503
        response.headers["Cache-Control"] = "no-store"
        return readiness

    return watching


def create_watched() -> FastAPI:
    """The application that a process answers on a port of its own, `BROADCAST_METRICS__PORT`."""
    app = FastAPI(openapi_url=None)
    app.add_middleware(ResponseDefaults)
    app.get("/healthz")(_healthz)
    app.get("/metrics")(_metrics)
    return app


async def _healthz() -> dict[str, str]:
    return {"status": "ok"}


async def _metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
