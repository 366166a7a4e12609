"""Key pairs: the error for a key that cannot be read."""

from __future__ import annotations

from moto.ec2.exceptions import InvalidKeyPairFormatError
from moto.ec2.responses import EC2Response

from infra_local.hooks import around, refuse


def install() -> None:
    @around(EC2Response, "import_key_pair")
    def import_key_pair(original, self):
        try:
            return original(self)
        except (InvalidKeyPairFormatError, ValueError):
            refuse("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
