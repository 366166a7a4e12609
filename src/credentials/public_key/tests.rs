use base64::{Engine, prelude::BASE64_STANDARD};

use super::*;

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP9tILaNgFedy574AZkaVUGmAuvF0mSuvlwkdb6qlFmj";

fn rsa(bytes: usize) -> String {
    let mut key = Vec::new();
    // Mpints: the exponent 65537, and a modulus whose first bit is set.
    let mut modulus = vec![0_u8, 0xc1];
    modulus.extend(vec![7; bytes - 1]);
    for field in [b"ssh-rsa".as_slice(), &[1, 0, 1], &modulus] {
        key.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        key.extend(field);
    }
    format!("ssh-rsa {}", BASE64_STANDARD.encode(key))
}

fn refusal(line: &str) -> String {
    PublicKey::parse(line).unwrap_err().message
}

#[test]
fn good_keys_pass() {
    let key = PublicKey::parse(&format!("  {ED25519}\tana \u{1b}[31m at\u{202e} home\n")).unwrap();
    assert_eq!((key.material(), key.algorithm()), (ED25519, "ssh-ed25519"));
    assert_eq!(key.comment(), "ana [31m at home");
    assert_eq!(key.line(), format!("{ED25519} ana [31m at home"));
    // As `ssh-keygen -lf` shows it.
    assert_eq!(key.fingerprint(), "SHA256:RnP8LxV2G9v0j7B0SRsUXennOf58/+ZLSOD2ZPzXVgQ");
    assert_eq!(PublicKey::parse(ED25519).unwrap().line(), ED25519);
    for bytes in [256, 512, 2048] {
        assert_eq!(PublicKey::parse(&rsa(bytes)).unwrap().algorithm(), "ssh-rsa");
    }
    PublicKey::parse(
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc= a",
    )
    .unwrap();
    PublicKey::parse(
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAICFo/k5LU8863u66YC9eUO2170QduohPURkQnbLa/dczAAAABHNzaDo= a",
    )
    .unwrap();
}

#[test]
fn what_should_open_no_host_is_refused() {
    for (line, expected) in [
        (rsa(128).as_str(), "1024 bits is too weak"),
        (&rsa(255), "2040 bits is too weak"),
        (&rsa(2049), "no RSA keys of 16392 bits"),
        ("ssh-dss AAAAB3NzaC1kc3MAAAAA ana", "DSA"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519", "private key"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA ana", "certificate"),
        ("rsa-sha2-512-cert-v01@openssh.com AAAA ana", "certificate"),
        (&format!("command=\"id\" {ED25519}"), "options"),
        (&format!("no-pty,from=\"10.0.0.1\" {ED25519} ana"), "options"),
        ("ssh-ed25519", "is missing"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP9tILaNgFedy574AZkaVUGmAuvF0mSuvlwkdb6q", "damaged"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP9tILaNgFedy574AZkaVUGmAuvF0mSuvlwkdb6qlF!!", "damaged"),
        ("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIP9tILaNgFedy574AZkaVUGmAuvF0mSuvlwkdb6qlFmj", "damaged"),
        ("ssh-foo@example.org AAAA", "not a public key"),
        ("---- BEGIN SSH2 PUBLIC KEY ----", "not a public key"),
        ("hello", "not a public key"),
        ("", "not a public key"),
    ] {
        assert!(refusal(line).contains(expected), "{line}: {}", refusal(line));
    }
}
