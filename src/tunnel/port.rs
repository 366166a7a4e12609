//! The port on loopback: taking it, and telling who has it already.

use std::{fs, net::Ipv4Addr, path::Path};

use anyhow::{Context, bail};
use tokio::net::TcpListener;

use super::PORT;

/// A port that was taken for the user.
#[derive(Debug)]
pub struct Taken {
    /// It listens on 127.0.0.1 and nowhere else.
    pub listener: TcpListener,
    /// Its number.
    pub port: u16,
    /// What the user should know, where it is not the usual one.
    pub note: Option<String>,
}

/// Listens at `port`, and nowhere else; where none was said, at the usual one, or else at the next that is free.
pub async fn listen(port: Option<u16>) -> anyhow::Result<Taken> {
    let wanted = port.unwrap_or(PORT);
    let error = match bind(wanted).await {
        Ok(listener) => return Ok(Taken { listener, port: wanted, note: None }),
        Err(error) => error,
    };
    let by = match who(wanted) {
        Some(who) => format!("port {wanted} is taken by {who}"),
        None => format!("port {wanted} cannot be had ({error})"),
    };
    if port.is_some() {
        bail!("{by}");
    }
    // Near the usual one first: settings of a browser are easier to read so.
    for other in (PORT + 1..PORT + 20).chain([0]) {
        if let Ok(listener) = bind(other).await {
            let port = listener.local_addr().context("the port cannot be told")?.port();
            return Ok(Taken { listener, port, note: Some(format!("{by}; the tunnel is at {port} instead")) });
        }
    }
    bail!("no port of 127.0.0.1 can be had: {error}")
}

async fn bind(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Who listens at a port of this machine, as far as we may know: `ssh (process 4711)`.
pub fn who(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(Path::new("/proc/self/net").join(table)).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let holds = |process: &Path| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| {
            let target = target.to_string_lossy();
            sockets.iter().any(|socket| *socket == target)
        })
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    for process in processes {
        let Some(id) = process.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else { continue };
        if holds(&process) {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            return Some(format!("{} (process {id})", name.trim()));
        }
    }
    Some("a program of another user".into())
}

/// The inodes of the sockets that listen at a port on an address that 127.0.0.1 is part of, of a table of the kernel's
/// (`/proc/net/tcp`).
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    let ours = ["0100007F", "00000000", "0000000000000000FFFF00000100007F", "00000000000000000000000000000000"];
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = rows.filter(|row| {
        let address = row.get(1).and_then(|local| local.strip_suffix(&suffix));
        address.is_some_and(|address| ours.contains(&address)) && row.get(3) == Some(&LISTEN)
    });
    found.filter_map(|row| row.get(9).map(|inode| (*inode).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_says_by_whom() {
        let first = listen(Some(0)).await.unwrap();
        let port = first.listener.local_addr().unwrap().port();
        let error = listen(Some(port)).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {port} is taken by ")), "{error}");
        if cfg!(target_os = "linux") {
            assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        }
    }

    #[test]
    fn only_who_listens_on_loopback_is_found() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1FDD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1
   1: 0100007F:1FDD 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 1002 1
   2: 0101A8C0:1FDD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1003 1
   3: 00000000:1FDD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1004 1
   4: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1005 1
";
        assert_eq!(listening(table, 8157), ["1001", "1004"]);
    }
}
