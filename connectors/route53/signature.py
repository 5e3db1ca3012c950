"""AWS Signature Version 4 (docs.aws.amazon.com/IAM, Create a signed AWS API request, read 2026-11-26)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

import requests
from requests.auth import AuthBase


class Signature(AuthBase):
    """Signs each request anew; the secret is not shown by ``repr``. Route 53 has one region for the whole world."""

    def __init__(
        self,
        access_key: str,
        secret_key: Callable[[], str],
        *,
        region: str = "us-east-1",
        service: str = "route53",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._access, self._secret, self._region, self._service, self._now = (
            access_key,
            secret_key,
            region,
            service,
            now,
        )

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put date and signature into the request."""
        moment = self._now().strftime("%Y%m%dT%H%M%SZ")
        url = urlsplit(str(request.url))
        request.headers["X-Amz-Date"] = moment
        signed = {"host": url.netloc, "x-amz-date": moment}
        query = sorted(parse_qsl(url.query, keep_blank_values=True))
        body = request.body or b""
        digest = hashlib.sha256(body if isinstance(body, bytes) else str(body).encode()).hexdigest()
        canonical = "\n".join(
            [
                str(request.method),
                quote(url.path or "/", safe="/-_.~%"),
                "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in query),
                *(f"{name}:{value}" for name, value in sorted(signed.items())),
                "",
                ";".join(sorted(signed)),
                digest,
            ]
        )
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        said = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self._secret()}".encode()
        for part in (moment[:8], self._region, self._service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        mark = hmac.new(key, said.encode(), "sha256").hexdigest()
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._access}/{scope}, SignedHeaders={';'.join(sorted(signed))}, "
            f"Signature={mark}"
        )
        return request
