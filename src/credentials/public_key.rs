//! Public keys in OpenSSH's one-line form: which are good enough to open a host.

use ssh_key::{HashAlg, public::KeyData};

/// Shorter RSA keys are within reach of an attacker with means. Source: NIST SP 800-131A Rev. 2, table 2.
const LEAST_RSA_BITS: usize = 2048;
/// sshd takes no longer ones. Source: `SSHBUF_MAX_BIGNUM` in OpenSSH.
const MOST_RSA_BITS: usize = 16_384;
/// Characters of a comment that are kept.
const COMMENT: usize = 100;

/// A public key that is good enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    material: String,
    comment: String,
    fingerprint: String,
}

/// Why a key will not do. It holds nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRefusal {
    /// One sentence without a full stop.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

/// How to make a key.
pub const MAKE_KEY: &str = "make one with `ssh-keygen -t ed25519`, and give the file that ends in .pub";

impl PublicKey {
    /// Reads one line: `ssh-ed25519 AAAA… comment`. Options before the key are refused.
    pub fn parse(line: &str) -> Result<Self, KeyRefusal> {
        let refuse = |message: String, hint| Err(KeyRefusal { message, hint });
        if is_private(line) {
            return refuse(
                "this is a private key, which nobody else may see".into(),
                "give the public one, from the file that ends in .pub",
            );
        }
        let mut words = line.split_whitespace();
        let algorithm = words.next().unwrap_or_default();
        match algorithm {
            "ssh-dss" => return refuse("DSA keys are too weak, and sshd no longer takes them".into(), MAKE_KEY),
            certificate if certificate.contains("-cert-v0") => {
                return refuse(
                    "this is a certificate: what it opens depends on who signed it, and until when".into(),
                    "give the key itself, from the .pub file beside it",
                );
            }
            known if KNOWN.contains(&known) => {}
            _ if KNOWN.iter().any(|known| line.contains(&format!("{known} "))) => {
                return refuse(
                    "options before a key are not taken: `infra` would have to trust what they run or allow".into(),
                    "remove what stands before the key's type",
                );
            }
            _ => return refuse("this is not a public key as OpenSSH writes it".into(), MAKE_KEY),
        }
        let Some(material) = words.next() else {
            return refuse(format!("after `{algorithm}` the key itself is missing"), "was the line copied whole?");
        };
        let comment: Vec<&str> = words.collect();
        let material = format!("{algorithm} {material}");
        let Ok(key) = ssh_key::PublicKey::from_openssh(&material) else {
            return refuse(format!("the text after `{algorithm}` is damaged"), "was the line copied whole?");
        };
        if let KeyData::Rsa(rsa) = key.key_data() {
            let bits = bits(rsa.n.as_positive_bytes().unwrap_or_default());
            if bits < LEAST_RSA_BITS {
                return refuse(
                    format!("an RSA key of {bits} bits is too weak: 2048 are the least"),
                    "use ed25519 (`ssh-keygen -t ed25519`), or RSA of 3072 bits",
                );
            }
            if bits > MOST_RSA_BITS {
                return refuse(
                    format!("sshd takes no RSA keys of {bits} bits"),
                    "use ed25519 (`ssh-keygen -t ed25519`)",
                );
            }
        }
        // It goes into a file that sshd reads line by line, and onto terminals.
        let comment = comment.join(" ").chars().filter(|letter| plain(*letter)).take(COMMENT).collect();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        Ok(Self { material, comment, fingerprint })
    }

    /// Its algorithm: `ssh-ed25519`.
    pub fn algorithm(&self) -> &str {
        self.material.split(' ').next().unwrap_or_default()
    }

    /// The key without its comment: two that agree in this are the same.
    pub fn material(&self) -> &str {
        &self.material
    }

    /// The words after the key, without control characters; may be empty.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The line for `authorized_keys`, without its end.
    pub fn line(&self) -> String {
        if self.comment.is_empty() { self.material.clone() } else { format!("{} {}", self.material, self.comment) }
    }
}

/// The types that sshd takes, in the words with which a line begins.
const KNOWN: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Whether a text is, or holds, a private key in any of the usual forms.
pub fn is_private(text: &str) -> bool {
    text.contains("PRIVATE KEY") || text.contains("PuTTY-User-Key-File")
}

/// Whether a word begins the line of a public key that sshd takes.
pub fn is_type(word: &str) -> bool {
    KNOWN.contains(&word)
}

fn plain(letter: char) -> bool {
    // Letters that turn the direction of what follows on a terminal are no letters.
    !letter.is_control()
        && !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn bits(number: &[u8]) -> usize {
    let skipped = number.iter().take_while(|byte| **byte == 0).count();
    number.get(skipped).map_or(0, |first| (number.len() - skipped) * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests;
