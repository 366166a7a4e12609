//! A host's keys, from what it printed on its console when it first started.

const BEGIN: &str = "-----BEGIN SSH HOST KEY KEYS-----";
const END: &str = "-----END SSH HOST KEY KEYS-----";

/// The host keys that cloud-init printed, `ssh-ed25519 AAAA…` each; the last block where there are several.
///
/// Source: cloud-init's module "Keys to console" (`cc_keys_to_console`).
pub fn console_keys(console: &str) -> Vec<String> {
    let Some(begin) = console.rfind(BEGIN) else { return Vec::new() };
    let block = &console[begin + BEGIN.len()..];
    // A block that is still being printed may hold half a key.
    let Some(end) = block.find(END) else { return Vec::new() };
    let key = |line: &str| {
        // Some consoles put a time or a unit's name before each line.
        let start = ["ssh-", "ecdsa-", "sk-"].iter().filter_map(|kind| line.find(kind)).min()?;
        let mut words = line[start..].split_whitespace();
        let (kind, data) = (words.next()?, words.next()?);
        ssh_key::PublicKey::from_openssh(&format!("{kind} {data}")).ok()?;
        Some(format!("{kind} {data}"))
    };
    block[..end].lines().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn keys_are_between_the_lines_and_whole() {
        let printed =
            format!("boot\n{BEGIN}\n{KEY} root@ip-10-0-0-4\n[   12.1] cloud-init[512]: {KEY} root@x\n{END}\n");
        assert_eq!(console_keys(&printed), [KEY, KEY]);
        assert!(console_keys(&printed.replace(END, "")).is_empty(), "a block without an end");
        assert!(console_keys(&format!("{BEGIN}\nssh-ed25519 AAAAC3Nz\n{END}")).is_empty(), "half a key");
        assert!(console_keys("").is_empty());
    }
}
