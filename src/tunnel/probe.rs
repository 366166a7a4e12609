//! Asking the cluster's pages, through the tunnel, whether they answer.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio::io::AsyncReadExt;

use super::{keeper::ToldPage, socks};
use crate::http;

/// How long one page may take.
const QUESTION: Duration = Duration::from_secs(10);

/// How long a page with TLS, which is not spoken here, may take to hang up on us.
const MOMENT: Duration = Duration::from_secs(1);

/// What a page said.
pub type Answer = Result<(u16, Duration), String>;

/// Asks all pages at once, through the tunnel at `port`.
pub async fn ask(port: u16, host: &str, pages: &[ToldPage]) -> Vec<Answer> {
    join_all(pages.iter().map(|page| one(port, host, page))).await
}

async fn one(port: u16, host: &str, page: &ToldPage) -> Answer {
    let began = Instant::now();
    let proxy = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let exchange = async {
        let mut stream = socks::connect(proxy, host, page.port).await?;
        if page.tls {
            let mut byte = [0];
            return match tokio::time::timeout(MOMENT, stream.read(&mut byte)).await {
                Ok(Ok(0) | Err(_)) => anyhow::bail!("nobody answers at its port"),
                // It waits for us to begin.
                _ => Ok(0),
            };
        }
        let answer = http::ask_over(stream, &format!("{host}:{}", page.port), "GET", &page.path, "").await?;
        anyhow::Ok(answer.status)
    };
    match tokio::time::timeout(QUESTION, exchange).await {
        Err(_) => Err(format!("no answer within {} s", QUESTION.as_secs())),
        // So it looks from here when the far end finds nobody there.
        Ok(Err(error)) if error.to_string().contains("without an answer") => {
            Err("nobody answers at its port".to_owned())
        }
        Ok(Err(error)) => Err(format!("{error:#}")),
        Ok(Ok(status)) if status >= 500 => Err(format!("it answers {status}")),
        Ok(Ok(status)) => Ok((status, began.elapsed())),
    }
}
