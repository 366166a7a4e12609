//! SOCKS5, as far as browsers speak it: no password, one request a connection, names resolved at the far end.
//! Source: RFC 1928.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use anyhow::{bail, ensure};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// The first byte of each message.
pub(super) const VERSION: u8 = 5;
const NO_PASSWORD: u8 = 0;
const NONE_ACCEPTED: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reply {
    Granted = 0,
    Failed = 1,
    NetworkUnreachable = 3,
    UnknownCommand = 7,
    UnknownAddress = 8,
}

/// Where somebody wants to go: a name or address as the far end sees it, and a port.
pub(super) type Target = (String, u16);

/// Reads who wants to go where; nothing, where that was refused and said so.
pub(super) async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Option<Target>> {
    let version = stream.read_u8().await?;
    let mut methods = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut methods).await?;
    if version != VERSION || !methods.contains(&NO_PASSWORD) {
        stream.write_all(&[VERSION, NONE_ACCEPTED]).await?;
        return Ok(None);
    }
    stream.write_all(&[VERSION, NO_PASSWORD]).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [_, command, _, kind] = head;
    let host = match kind {
        IPV4 => Ipv4Addr::from(stream.read_u32().await?).to_string(),
        IPV6 => Ipv6Addr::from(stream.read_u128().await?).to_string(),
        NAME => {
            let mut name = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut name).await?;
            match String::from_utf8(name) {
                Ok(name) if is_name(&name) => name,
                _ => {
                    answer(stream, Reply::UnknownAddress).await?;
                    return Ok(None);
                }
            }
        }
        _ => {
            answer(stream, Reply::UnknownAddress).await?;
            return Ok(None);
        }
    };
    let port = stream.read_u16().await?;
    if command != CONNECT {
        answer(stream, Reply::UnknownCommand).await?;
        return Ok(None);
    }
    Ok(Some((host, port)))
}

/// What a resolver at the far end may be asked for.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(fits)
}

/// Answers a request. Which address it goes out from is not told.
pub(super) async fn answer(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> io::Result<()> {
    stream.write_all(&[VERSION, reply as u8, 0, IPV4, 0, 0, 0, 0, 0, 0]).await
}

/// Goes to a host by its name through a proxy: the other side of all this.
pub(super) async fn connect(proxy: SocketAddr, host: &str, port: u16) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(proxy).await?;
    stream.write_all(&[VERSION, 1, NO_PASSWORD]).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    ensure!(chosen == [VERSION, NO_PASSWORD], "what listens at {proxy} is not the tunnel");
    let Ok(length) = u8::try_from(host.len()) else { bail!("the name is too long") };
    let mut request = vec![VERSION, CONNECT, 0, NAME, length];
    request.extend(host.as_bytes());
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).await?;
    match answer[1] {
        0 => Ok(stream),
        3 => bail!("the tunnel has lost its connection"),
        _ => bail!("the tunnel cannot reach it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a client that says `said`: the target, and what it was answered.
    async fn heard(said: &[u8]) -> (io::Result<Option<Target>>, Vec<u8>) {
        let (mut client, mut server) = tokio::io::duplex(1024);
        client.write_all(said).await.unwrap();
        client.shutdown().await.unwrap();
        let target = greet(&mut server).await;
        drop(server);
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.unwrap();
        (target, answers)
    }

    #[tokio::test]
    async fn names_and_addresses_are_understood() {
        let (target, answers) = heard(b"\x05\x02\x02\x00\x05\x01\x00\x03\x06master\x46\xa0").await;
        assert_eq!((target.unwrap(), &*answers), (Some(("master".into(), 18080)), &[5, 0][..]));
        let (target, _) = heard(b"\x05\x01\x00\x05\x01\x00\x01\x0a\x00\x01\x04\x00\x50").await;
        assert_eq!(target.unwrap(), Some(("10.0.1.4".into(), 80)));
        let (target, _) = heard(b"\x05\x01\x00\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50").await;
        assert_eq!(target.unwrap(), Some(("::1".into(), 80)));
    }

    #[tokio::test]
    async fn what_is_not_ours_is_refused_and_said() {
        let refusals: [(&[u8], &[u8]); 4] = [
            (b"\x05\x01\x02", b"\x05\xff"),
            (b"\x05\x01\x00\x05\x02\x00\x01\x0a\x00\x01\x04\x00\x50", b"\x05\x00\x05\x07"),
            (b"\x05\x01\x00\x05\x01\x00\x03\x03a b\x00\x50", b"\x05\x00\x05\x08"),
            (b"\x05\x01\x00\x05\x01\x00\x09", b"\x05\x00\x05\x08"),
        ];
        for (said, begins) in refusals {
            let (target, answers) = heard(said).await;
            assert_eq!(target.unwrap(), None, "{said:?}");
            assert!(answers.starts_with(begins), "{said:?}: {answers:?}");
        }
        let (target, _) = heard(b"\x05\x01\x00\x05\x01").await;
        assert!(target.is_err(), "cut short");
    }
}
