"""Serve a page on which a person writes or corrects the reasoning paths of Seg-DT samples.

python -m training.annotate draft/segdt.jsonl --images draft/images --out done.jsonl

The same command goes on at the first sample that is not annotated. The page is for this machine alone; from another one
use a tunnel: ssh -L 8085:127.0.0.1:8085 HOST.
"""

import argparse
import getpass
import os
import socket
import sys
from contextlib import closing, suppress
from pathlib import Path

import uvicorn

from training.annotate.app import create
from training.annotate.output import AnnotateError
from training.annotate.session import Session

PORT = 8085


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.annotate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="Seg-DT file; a path in it may be [], to be written from nothing")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--out", type=Path, required=True, help="Seg-DT file that is written, or gone on with")
    parser.add_argument("--annotator", help="who writes, for the samples' provenance; without it your login name")
    parser.add_argument("--port", type=int, default=PORT, help=f"{PORT} unless given; 0 takes a free one")
    options = parser.parse_args()
    try:
        with _listen(options.port) as listening:
            session = Session(options.file, options.images, options.out, options.annotator or _login())
            with closing(session.output):
                _serve(session, listening)
    except AnnotateError as error:
        sys.exit(f"error: {error}")


def _serve(session: Session, listening: socket.socket) -> None:
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    print(f"{_standing(session)}. Annotate at {address}   Ctrl-C stops.", flush=True)
    config = uvicorn.Config(create(session), log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    with suppress(KeyboardInterrupt):  # uvicorn raises it again once it has shut down
        uvicorn.Server(config).run(sockets=[listening])
    print(f"\n{_standing(session)}, in {session.output.path}. The same command goes on.")


def _standing(session: Session) -> str:
    return f"{len(session.output.saved):,} of {len(session.samples):,} samples are annotated"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise AnnotateError("you have no login name here; say who annotates with --annotator") from error


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OverflowError as error:
        raise AnnotateError(f"--port {port} is no port") from error
    except OSError as error:
        raise AnnotateError(
            f"port {port} cannot be used ({os.strerror(error.errno or 0)}); choose another with --port"
        ) from error


if __name__ == "__main__":
    main()
