"""Accounts: a 12-digit access key id is the account it names, as other local clouds have it."""

from __future__ import annotations

import re

from moto.core.responses import BaseResponse
from moto.iam.models import IAMBackend

from infra_local.hooks import around

_ACCOUNT = re.compile(r"Credential=(\d{12})/")


def install() -> None:
    @around(BaseResponse, "get_current_account")
    def get_current_account(original, self):
        named = _ACCOUNT.search(self.headers.get("Authorization") or "")
        return named.group(1) if named else original(self)

    @around(IAMBackend, "_init_aws_policies")
    def init_aws_policies(original, self):
        # moto looks for an access key in every partition, and reads 1,500 policies for each: half a second.
        return original(self) if self.partition == "aws" else []
