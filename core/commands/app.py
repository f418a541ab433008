"""app: open the app in a browser."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from core.commands.console import CANCELLED, UsageError, whole

SCRIPT = Path(__file__).resolve().parents[2] / "streamlit_app.py"
PORTS = range(1024, 65536)


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    app = commands.add_parser("app", help="open the app in a browser")
    app.set_defaults(run=run)
    app.add_argument("--port", type=whole, metavar="PORT", help="by default 8501 or the next free")
    app.add_argument("--no-browser", action="store_true", help="serve it, and open no browser")


def run(options: argparse.Namespace) -> int:
    """Serve the app until it is stopped, with Streamlit's own settings from beside its script."""
    command = [sys.executable, "-m", "streamlit", "run", str(SCRIPT)]
    if options.port is not None:
        if options.port not in PORTS:
            raise UsageError(f"--port {options.port}: a port is from {PORTS[0]} to {PORTS[-1]}")
        command += ["--server.port", str(options.port)]
    if options.no_browser:
        command += ["--server.headless", "true"]
    with subprocess.Popen(command) as server:
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            return server.wait()
        except KeyboardInterrupt:  # the server got the same Ctrl+C, and ends what runs
            server.wait()
            return CANCELLED
