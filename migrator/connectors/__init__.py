"""The vendors' connectors. In a wheel they lie here; in a checkout beside the package, in ``connectors/``."""

from pathlib import Path

_beside = Path(__file__).resolve().parents[2] / "connectors"
if not any(Path(__file__).parent.glob("*/connector.yaml")) and _beside.is_dir():
    __path__.append(str(_beside))
