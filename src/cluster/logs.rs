//! What EMR brings to the log bucket of steps and bootstrap actions: gzip, some minutes late, and again whenever it has
//! grown. It is unpacked as it is read; whoever reads says what becomes of it, and how much is too much.
//! Source: "View log files" in the Amazon EMR management guide.

use std::io::{self, Write};

use anyhow::{Context, Result};
use flate2::write::MultiGzDecoder;

use crate::cloud::{Cloud, Explain, missing_is_none};

/// What a step writes, in the order in which a reader wants it.
pub const STREAMS: [&str; 3] = ["stdout", "stderr", "controller"];

/// What S3 answers where there is no such object.
const ABSENT: &[&str] = &["NotFound", "NoSuchKey", "404"];

/// Where the logs of one step or bootstrap action are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    bucket: String,
    prefix: String,
}

impl Folder {
    /// The folder of a step, by the place of its cluster's logs as EMR writes it: `s3n://bucket/emr/`.
    pub fn of_step(log_uri: &str, cluster: &str, step: &str) -> Option<Self> {
        Self::within(log_uri, &format!("{cluster}/steps/{step}"))
    }

    /// The folder of a bootstrap action on one machine, likewise. Actions are counted from 1.
    pub fn of_bootstrap(log_uri: &str, cluster: &str, instance: &str, number: usize) -> Option<Self> {
        Self::within(log_uri, &format!("{cluster}/node/{instance}/bootstrap-actions/{number}"))
    }

    fn within(log_uri: &str, path: &str) -> Option<Self> {
        let (_, rest) = log_uri.split_once("://")?;
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let folder = folder.trim_matches('/');
        let slash = if folder.is_empty() { "" } else { "/" };
        (!bucket.is_empty()).then(|| Self { bucket: bucket.to_owned(), prefix: format!("{folder}{slash}{path}/") })
    }

    /// The folder for a reader: `s3://…/`.
    pub fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    /// One stream in it for a reader: `s3://…/stderr.gz`.
    pub fn uri_of(&self, stream: &str) -> String {
        format!("{}{stream}.gz", self.uri())
    }
}

/// One stream, read as far as it has been written.
#[derive(Debug)]
pub struct Tail {
    folder: Folder,
    stream: &'static str,
    /// The version of the object that was read last.
    version: Option<String>,
    /// How many bytes of it, unpacked, were handed on.
    read: u64,
}

impl Tail {
    /// A stream of which nothing has been read yet.
    pub fn new(folder: Folder, stream: &'static str) -> Self {
        Self { folder, stream, version: None, read: 0 }
    }

    /// Which stream.
    pub fn stream(&self) -> &'static str {
        self.stream
    }

    /// Whether it has been found in the bucket.
    pub fn is_there(&self) -> bool {
        self.version.is_some()
    }

    /// Hands on what has come since the last time.
    pub async fn more(&mut self, cloud: &Cloud, sink: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send)) -> Result<()> {
        let Folder { bucket, prefix } = &self.folder;
        let key = format!("{prefix}{}.gz", self.stream);
        let head = cloud.clients.s3.head_object().bucket(bucket).key(&key).send().await.explain("s3:GetObject");
        let Some(head) = missing_is_none(head, ABSENT)? else { return Ok(()) };
        let version = format!("{} {}", head.e_tag().unwrap_or_default(), head.content_length().unwrap_or_default());
        if self.version.as_ref() == Some(&version) {
            return Ok(());
        }
        let answer = cloud.clients.s3.get_object().bucket(bucket).key(&key).send().await.explain("s3:GetObject");
        let Some(answer) = missing_is_none(answer, ABSENT)? else { return Ok(()) };
        let mut body = answer.body;
        // What was handed on already is passed over.
        let mut unpacked = MultiGzDecoder::new(Rest { passed: 0, skip: self.read, sink });
        let broken = || format!("s3://{bucket}/{key} cannot be unpacked");
        while let Some(bytes) = body.try_next().await.with_context(|| format!("s3://{bucket}/{key} cannot be read"))? {
            unpacked.write_all(&bytes).with_context(broken)?;
        }
        unpacked.try_finish().with_context(broken)?;
        let passed = unpacked.get_ref().passed;
        self.read = self.read.max(passed);
        self.version = Some(version);
        Ok(())
    }
}

/// Passes on all but the first bytes.
struct Rest<'a> {
    passed: u64,
    skip: u64,
    sink: &'a mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
}

impl Write for Rest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let old = usize::try_from(self.skip.saturating_sub(self.passed)).unwrap_or(usize::MAX).min(bytes.len());
        if old < bytes.len() {
            (self.sink)(&bytes[old..])?;
        }
        self.passed += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All of one stream as text; nothing where it is not in the bucket.
pub async fn whole(cloud: &Cloud, folder: &Folder, stream: &'static str) -> Result<Option<String>> {
    let mut tail = Tail::new(folder.clone(), stream);
    let mut text = Vec::new();
    tail.more(cloud, &mut |bytes| {
        text.extend_from_slice(bytes);
        Ok(())
    })
    .await?;
    Ok(tail.is_there().then(|| String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Folder, Rest};

    #[test]
    fn a_folder_is_found_however_emr_writes_the_place() {
        let uri = |place: &str| Folder::of_step(place, "j-1", "s-2").map(|folder| folder.uri());
        for place in ["s3n://logs/emr/", "s3://logs/emr", "s3://logs/emr/"] {
            assert_eq!(uri(place).as_deref(), Some("s3://logs/emr/j-1/steps/s-2/"), "{place}");
        }
        assert_eq!(uri("s3n://logs/").as_deref(), Some("s3://logs/j-1/steps/s-2/"));
        assert_eq!(uri("s3://logs").as_deref(), Some("s3://logs/j-1/steps/s-2/"));
        assert_eq!(uri("nowhere"), None);
        let action = Folder::of_bootstrap("s3n://logs/a/b/", "j-1", "i-2", 3).map(|folder| folder.uri_of("stderr"));
        assert_eq!(action.as_deref(), Some("s3://logs/a/b/j-1/node/i-2/bootstrap-actions/3/stderr.gz"));
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        let mut seen = Vec::new();
        let mut sink = |bytes: &[u8]| {
            seen.extend_from_slice(bytes);
            Ok(())
        };
        let mut rest = Rest { passed: 0, skip: 5, sink: &mut sink };
        for piece in ["one", "two", "three"] {
            rest.write_all(piece.as_bytes()).unwrap();
        }
        assert_eq!(rest.passed, 11);
        assert_eq!(String::from_utf8(seen).unwrap(), "othree");
    }
}
