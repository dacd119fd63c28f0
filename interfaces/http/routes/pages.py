"""Console, widget and demo page: static files, revalidated at each load."""

from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Final

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response

from interfaces.http.authentication import public

router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_CONSOLE: Final = Path(str(files("interfaces.console")))
_WIDGET: Final = Path(str(files("interfaces.widget")))
_HEADERS: Final = {"Cache-Control": "no-cache"}
_CROSS_ORIGIN: Final = {**_HEADERS, "Access-Control-Allow-Origin": "*"}
"""The widget's modules run on the company's own pages, which have other origins."""


@router.get("/")
async def root() -> Response:
    """The console."""
    return RedirectResponse("/console")


@router.get("/console")
async def console() -> Response:
    """The agents' console."""
    return FileResponse(_CONSOLE / "index.html", media_type=_TYPES[".html"], headers=_HEADERS)


@router.get("/console/static/{path:path}")
async def console_file(path: str) -> Response:
    """The console's modules and styles."""
    return _file(_CONSOLE / "static", path, _HEADERS)


@router.get("/demo")
async def demo() -> Response:
    """A page with the widget on it."""
    return FileResponse(_WIDGET / "demo.html", media_type=_TYPES[".html"], headers=_HEADERS)


@router.get("/widget.js")
async def widget(request: Request) -> Response:
    """The one script tag."""
    return _file(_WIDGET, "widget.js", _CROSS_ORIGIN)


@router.get("/widget/static/{path:path}")
async def widget_file(path: str) -> Response:
    """The widget's modules and styles."""
    return _file(_WIDGET / "static", path, _CROSS_ORIGIN)


def _file(folder: Path, path: str, headers: dict[str, str]) -> Response:
    parts = PurePosixPath(path).parts
    target = folder.joinpath(*parts)
    media_type = _TYPES.get(target.suffix)
    plain = all(part not in ("..", ".", "/") and "\x00" not in part for part in parts)
    if not parts or not plain or media_type is None or not target.is_file():
        raise HTTPException(404, "There is no such file.")
    return FileResponse(target, media_type=media_type, headers=headers)
