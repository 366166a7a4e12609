//! Password hashes as `/etc/shadow` and crypt(3) know them: made, checked, told apart, and never shown.

use std::fmt;

use anyhow::{Context, ensure};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use sha_crypt::{Algorithm, Params, PasswordHasher, PasswordVerifier, ShaCrypt};

/// Rounds of a new hash: a quarter of a second, so that guessing is slow.
pub const ROUNDS: u32 = 656_000;

/// The sample hash of the seed's script: DES crypt of its own placeholder, known to everybody who read it.
pub const SAMPLE_HASH: &str = "sa1O7Z1pCJzK.";

/// Bytes that crypt(3) and PAM take at most of a password, less one.
pub const LONGEST: usize = 511;

/// Characters under which a password is called short.
pub const SHORT: usize = 12;

/// Rounds that crypt(3) takes where a hash names none.
const DEFAULT_ROUNDS: u32 = 5_000;
/// A hash of fewer is refused.
const LEAST_ROUNDS: u32 = DEFAULT_ROUNDS;
/// With more a login takes more than some five seconds.
const MOST_ROUNDS: u32 = 10_000_000;
/// crypt(3) cuts a longer salt.
const LONGEST_SALT: usize = 16;
/// Characters of a sha512-crypt digest.
const DIGEST: usize = 86;

/// A well-formed sha512-crypt hash (`$6$rounds=656000$…$…`). Neither `Debug` nor `Serialize` shows it.
#[derive(Clone)]
pub struct PasswordHash {
    hash: SecretString,
    rounds: u32,
}

impl PasswordHash {
    /// Takes a hash that is already made; the error says, without repeating it, why it will not do.
    pub fn parse(hash: &str) -> Result<Self, HashRefusal> {
        let HashKind::Sha512 { rounds } = kind(hash) else { return Err(refusal(hash)) };
        let refuse = |message: String, hint: &'static str| Err(HashRefusal { message, hint });
        if rounds < LEAST_ROUNDS {
            return refuse(format!("{rounds} rounds of sha512-crypt are too few"), MAKE_ONE);
        }
        if rounds > MOST_ROUNDS {
            let message = format!("{rounds} rounds of sha512-crypt would make every login take seconds");
            return refuse(message, MAKE_ONE);
        }
        let (salt, digest) = match fields(hash).as_slice() {
            ["6", rounds, salt, digest] if rounds.starts_with("rounds=") => (*salt, *digest),
            ["6", salt, digest] => (*salt, *digest),
            _ => return refuse("this sha512-crypt hash is malformed".into(), WHOLE),
        };
        if salt.len() > LONGEST_SALT {
            let message = format!("the salt of this hash has {} characters", salt.len());
            return refuse(
                message,
                "crypt(3) cuts a salt to 16, and the login would fail; `infra users hash` makes one",
            );
        }
        if salt.is_empty() || !salt.bytes().all(crypt_letter) {
            return refuse("the salt of this hash is malformed".into(), WHOLE);
        }
        if digest.len() != DIGEST || !digest.bytes().all(crypt_letter) {
            let message =
                format!("the last part of this sha512-crypt hash must have {DIGEST} characters of ./0-9A-Za-z");
            return refuse(message, WHOLE);
        }
        Ok(Self { hash: SecretString::from(hash), rounds })
    }

    /// The hash itself, for the host's `/etc/shadow` and nothing else.
    pub fn expose(&self) -> &str {
        self.hash.expose_secret()
    }

    /// How many rounds it was made with.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for PasswordHash {}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({})", HashKind::Sha512 { rounds: self.rounds })
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PasswordHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a hash will not do. It never holds the hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashRefusal {
    /// One sentence without a full stop.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

const MAKE_ONE: &str = "`infra users hash` makes a better one";
const WHOLE: &str = "was it copied whole? `infra users hash` makes one";

/// Why something that is not sha512-crypt will not do.
fn refusal(hash: &str) -> HashRefusal {
    let refuse = |message: &str, hint| HashRefusal { message: message.to_owned(), hint };
    match kind(hash) {
        HashKind::Des if hash == SAMPLE_HASH => refuse(
            "this is the sample hash of the original instructions: everybody who read them knows its password",
            "it is the DES hash of `contraseña`, and any word that begins with `contrase` matches; \
             `infra users hash` makes one of a password of your own",
        ),
        HashKind::Des => refuse(
            "this is a DES hash, of 13 characters, which is guessed in hours and looks at 8 characters of the password",
            "`infra users hash` makes a sha512-crypt hash",
        ),
        HashKind::Md5 => refuse("this is an md5-crypt hash, which is guessed fast", MAKE_ONE),
        HashKind::Sha256 { .. } => refuse("this is a sha256-crypt hash; sha512-crypt is asked for", MAKE_ONE),
        HashKind::Yescrypt | HashKind::Bcrypt => refuse(
            "this hash is of a kind that not every host's crypt(3) knows; sha512-crypt is asked for",
            "`infra users hash` makes one",
        ),
        HashKind::Locked | HashKind::Empty => {
            refuse("this locks or opens an account, and is no hash", "write `none` for no password")
        }
        HashKind::Sha512 { .. } | HashKind::Unknown => {
            refuse("this is not a sha512-crypt hash", "one begins with `$6$`; `infra users hash` makes one")
        }
    }
}

/// What stands in the password field of `/etc/shadow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HashKind {
    /// `$6$`: what `infra` makes.
    Sha512 {
        /// Rounds, 5,000 where the hash names none.
        rounds: u32,
    },
    /// `$5$`.
    Sha256 {
        /// Rounds, 5,000 where the hash names none.
        rounds: u32,
    },
    /// `$y$` and `$gy$`, the default of newer distributions.
    Yescrypt,
    /// `$2b$` and its kin.
    Bcrypt,
    /// `$1$`: legacy.
    Md5,
    /// 13 characters, or `BSDi`'s 20 that begin with `_`: legacy.
    Des,
    /// Begins with `!` or `*`: no password opens it.
    Locked,
    /// Nothing: no password is asked for.
    Empty,
    /// Anything else.
    Unknown,
}

impl HashKind {
    /// Whether a password opens the account, or none is needed.
    pub fn opens(self) -> bool {
        !matches!(self, Self::Locked)
    }

    /// Whether it should be replaced: guessed fast, unknown, or no password at all.
    pub fn is_legacy(self) -> bool {
        match self {
            Self::Md5 | Self::Des | Self::Empty | Self::Unknown => true,
            Self::Sha512 { rounds } | Self::Sha256 { rounds } => rounds < LEAST_ROUNDS,
            Self::Yescrypt | Self::Bcrypt | Self::Locked => false,
        }
    }
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha512 { rounds } => write!(f, "sha512-crypt, {rounds} rounds"),
            Self::Sha256 { rounds } => write!(f, "sha256-crypt, {rounds} rounds"),
            Self::Yescrypt => f.write_str("yescrypt"),
            Self::Bcrypt => f.write_str("bcrypt"),
            Self::Md5 => f.write_str("md5-crypt"),
            Self::Des => f.write_str("DES"),
            Self::Locked => f.write_str("locked"),
            Self::Empty => f.write_str("empty"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// What the password field of an account is, by its form.
pub fn kind(field: &str) -> HashKind {
    if field.is_empty() {
        return HashKind::Empty;
    }
    if field.starts_with(['!', '*']) {
        return HashKind::Locked;
    }
    if let [id, rest @ ..] = fields(field).as_slice() {
        // crypt(3) raises what is under 1,000, and so does the reader of `rounds=` in every libc.
        let rounds = rest.first().and_then(|first| first.strip_prefix("rounds="));
        let rounds = rounds.map_or(Some(DEFAULT_ROUNDS), |rounds| rounds.parse().ok());
        return match (*id, rounds) {
            ("6", Some(rounds)) => HashKind::Sha512 { rounds },
            ("5", Some(rounds)) => HashKind::Sha256 { rounds },
            ("y" | "gy" | "7", _) => HashKind::Yescrypt,
            ("2" | "2a" | "2b" | "2x" | "2y", _) => HashKind::Bcrypt,
            ("1", _) => HashKind::Md5,
            _ => HashKind::Unknown,
        };
    }
    let des = field.len() == 13 && field.bytes().all(crypt_letter);
    let extended = field.len() == 20 && field.strip_prefix('_').is_some_and(|rest| rest.bytes().all(crypt_letter));
    if des || extended { HashKind::Des } else { HashKind::Unknown }
}

/// The parts of a `$ID$…$…` hash, its id first; none where it has not that form.
fn fields(hash: &str) -> Vec<&str> {
    hash.strip_prefix('$').map(|rest| rest.split('$').collect()).unwrap_or_default()
}

/// The alphabet of salts and digests.
fn crypt_letter(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || letter == b'.' || letter == b'/'
}

/// Makes a hash with [`ROUNDS`] rounds and a salt of 16 random characters. Takes a quarter of a second.
///
/// Fails for a password that no login could be given: empty, over [`LONGEST`] bytes, with control characters.
pub fn hash(password: &SecretString) -> anyhow::Result<PasswordHash> {
    check(password)?;
    // 12 bytes are 16 characters. The crate's own default, 22 characters, is cut by crypt(3), and logins fail.
    let mut salt = [0; 12];
    getrandom::fill(&mut salt).context("the system gives no random numbers")?;
    let hasher = ShaCrypt::new(Algorithm::Sha512Crypt, Params::new(ROUNDS).expect("rounds within the bounds"));
    let hash = hasher
        .hash_password_with_salt(password.expose_secret().as_bytes(), &salt)
        .context("the password cannot be hashed")?;
    Ok(PasswordHash::parse(hash.as_str()).expect("our own hashes are well-formed"))
}

/// Whether a password could be given at a login.
pub fn check(password: &SecretString) -> anyhow::Result<()> {
    let text = password.expose_secret();
    ensure!(!text.is_empty(), "the password is empty");
    ensure!(text.len() <= LONGEST, "the password has {} bytes; a login takes {LONGEST}", text.len());
    ensure!(!text.chars().any(char::is_control), "the password has a control character, which no login can give");
    Ok(())
}

/// Whether a password is the one that was hashed with sha512-crypt or sha256-crypt; of other kinds, never.
///
/// Takes as long as making the hash.
pub fn verify(password: &SecretString, hash: &str) -> bool {
    matches!(kind(hash), HashKind::Sha512 { .. } | HashKind::Sha256 { .. })
        && ShaCrypt::SHA512.verify_password(password.expose_secret().as_bytes(), hash).is_ok()
}

#[cfg(test)]
mod tests;
