"""What holds for every EC2 operation: DryRun, unknown filters, MaxResults, and the clock.

This layer is put on last, so that it is the outermost one of each operation.
"""

from __future__ import annotations

from botocore import session as botocore_session
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores
from moto.ec2.exceptions import DryRunClientError, EC2ClientError, FilterNotImplementedError
from moto.ec2.responses import EC2Response

from infra_local.clock import clock
from infra_local.hooks import around, refuse
from infra_local.strict import ec2_lag


def install() -> None:
    session = botocore_session.get_session()
    paging = session.get_paginator_model("ec2")._paginator_config
    for operation in session.get_service_model("ec2").operation_names:
        name = camelcase_to_underscores(operation)
        if hasattr(EC2Response, name):
            _wrap(name, operation, paging.get(operation))

    @around(BaseResponse, "call_action")
    def call_action(original, self):
        clock.settle()
        return original(self)


def _wrap(name: str, operation: str, paging: dict | None) -> None:
    describes = operation.startswith(("Describe", "Get", "Search"))

    @around(EC2Response, name)
    def outermost(original, self):
        if self._get_param("DryRun") in (True, "true") and not describes and operation != "RunInstances":
            raise DryRunClientError()
        if describes:
            result = _describe(original, self)
            ec2_lag.hide(self, result)
            if paging:
                _page(self, result, paging)
            return result
        result = original(self)
        ec2_lag.born(self, operation, result)
        return result


def _describe(original, response) -> ActionResult:
    try:
        return original(response)
    except FilterNotImplementedError as error:
        raise _invalid_filter(error) from error
    except NotImplementedError as error:
        if "ilter" not in str(error):
            raise
        raise _invalid_filter(error) from error


def _invalid_filter(error: Exception) -> EC2ClientError:
    text = str(getattr(error, "message", "") or error)
    name = text.split("'")[1] if text.count("'") >= 2 else "?"
    return EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")


def _page(response, result: ActionResult, paging: dict) -> None:
    """MaxResults where moto ignores it: a cut list and a token for the rest."""
    field = paging["result_key"]
    limit = response._get_param(paging.get("limit_key") or "MaxResults")
    token = response._get_param("NextToken")
    contents = result.result
    if (
        not isinstance(field, str)
        or not isinstance(contents, dict)
        or contents.get("NextToken")
        or not (limit or token)
    ):
        return
    rows = contents.get(field)
    if not isinstance(rows, (list, tuple)) or field == "Reservations":
        return
    start = 0
    if token:
        if not token.startswith("at-") or not token[3:].isdigit():
            refuse("InvalidParameterValue", "Invalid value for nextToken.")
        start = int(token[3:])
    end = start + int(limit or 1000)
    contents[field] = list(rows)[start:end]
    if end < len(rows):
        contents["NextToken"] = f"at-{end}"
