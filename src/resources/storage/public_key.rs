//! Public keys in OpenSSH's one-line form: which are good enough, and when two are the same.

use anyhow::bail;
use engine::Result;

use crate::credentials::public_key::PublicKey;

/// Says what is wrong with a public key that EC2 refuses, or that should not open a host.
pub fn check_public_key(line: &str) -> Result<()> {
    if let Err(refusal) = PublicKey::parse(line) {
        bail!("{}: {}", refusal.message, refusal.hint);
    }
    // Source: ImportKeyPair in the Amazon EC2 API reference.
    match line.split_whitespace().next().unwrap_or_default() {
        "ssh-ed25519" | "ssh-rsa" => Ok(()),
        other => bail!("EC2 takes ed25519 and RSA keys, not {other}"),
    }
}

/// A key without its comment: two that agree in this are the same.
pub(super) fn material(line: &str) -> String {
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP9tILaNgFedy574AZkaVUGmAuvF0mSuvlwkdb6qlFmj hello";

    fn refusal(line: &str) -> String {
        format!("{:#}", check_public_key(line).unwrap_err())
    }

    #[test]
    fn good_keys_pass() {
        check_public_key(ED25519).unwrap();
        check_public_key(&format!("{ED25519}\n")).unwrap();
    }

    #[test]
    fn weak_foreign_and_private_keys_are_refused() {
        // Mpints: e = 65537, n = 1024 bits.
        let rsa = {
            use base64::{Engine, prelude::BASE64_STANDARD};
            let mut bytes = Vec::new();
            let mut modulus = vec![0_u8, 0xc1];
            modulus.extend([7; 127]);
            for field in [b"ssh-rsa".as_slice(), &[1, 0, 1], &modulus] {
                bytes.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
                bytes.extend(field);
            }
            format!("ssh-rsa {}", BASE64_STANDARD.encode(bytes))
        };
        assert!(refusal(&rsa).contains("1024 bits is too weak"), "{}", refusal(&rsa));
        assert!(refusal("-----BEGIN OPENSSH PRIVATE KEY-----\nabc").contains("private key"));
        assert!(refusal("hello").contains("not a public key"));
    }

    #[test]
    fn comments_make_no_difference() {
        assert_eq!(material(ED25519), material(&ED25519.replace("hello", "somebody@else\n")));
    }
}
