"""Accounts: a 12-digit access key id is the account it names, as other local clouds have it.

And the AWS-managed policies that each account starts with, which moto reads from 8 MB of JSON for every
account, partition and reset.
"""

from __future__ import annotations

import copy
import re

from moto.core.responses import BaseResponse
from moto.iam.models import IAMBackend

from infra_local.hooks import around

_ACCOUNT = re.compile(r"Credential=(\d{12})/")
_policies: list = []


def install() -> None:
    @around(BaseResponse, "get_current_account")
    def get_current_account(original, self):
        named = _ACCOUNT.search(self.headers.get("Authorization") or "")
        return named.group(1) if named else original(self)

    @around(IAMBackend, "_init_aws_policies")
    def init_aws_policies(original, self):
        if self.partition != "aws":  # moto looks for an access key in every partition
            return []
        if not _policies:
            _policies.extend(original(self))
        own = [copy.copy(policy) for policy in _policies]
        for policy in own:
            policy.account_id, policy.attachment_count = self.account_id, 0
        return own
