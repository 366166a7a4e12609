//! The end of a log that EMR keeps in a bucket.

use std::{fmt, io::Read, time::Instant};

use flate2::read::MultiGzDecoder;

use super::blame::action;
use crate::{
    cloud::{Cloud, CloudError, Explain},
    resources::ClusterEnded,
};

/// Lines of a log that are shown.
const LINES: usize = 20;
/// Characters of a line that are shown.
const WIDTH: usize = 240;
/// A log that is larger, packed, is not fetched.
const MOST_PACKED: i64 = 16 << 20;
/// Bytes of a log that are unpacked at most: what a few kilobytes can grow to is not ours to find out.
const MOST: u64 = 64 << 20;

/// How a log ends, or why that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// Its last lines.
    End {
        /// `s3://…`.
        uri: String,
        /// The lines, without what a terminal would take for commands.
        lines: Vec<String>,
    },
    /// It is not there yet.
    Late {
        /// Where it will be.
        uri: String,
    },
    /// It cannot be read.
    Unreadable {
        /// Where it is.
        uri: String,
        /// Why not.
        why: String,
    },
    /// The cluster keeps none.
    None,
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End { uri, lines } if lines.is_empty() => write!(f, "its log says nothing: {uri}"),
            Self::End { uri, lines } => {
                write!(f, "the end of {uri}:")?;
                lines.iter().try_for_each(|line| write!(f, "\n  | {line}"))
            }
            Self::Late { uri } => write!(f, "its log is not there yet; it will be at {uri}"),
            Self::Unreadable { uri, why } => write!(f, "its log is at {uri}, and cannot be shown: {why}"),
            Self::None => f.write_str("the cluster keeps no logs: `logs:` in the spec says where they go"),
        }
    }
}

/// A log's place: bucket and key.
pub(super) type Place = (String, String);

/// Bucket and folder of `s3n://bucket/folder/`.
fn bucket_of(uri: &str) -> Option<(&str, &str)> {
    let (_, rest) = uri.split_once("://")?;
    let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
    Some((bucket, folder.trim_matches('/')))
}

fn places(uri: &str, names: [String; 2]) -> Vec<Place> {
    let Some((bucket, folder)) = bucket_of(uri) else { return Vec::new() };
    let key = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
    names.map(|name| (bucket.to_owned(), key(name))).into()
}

/// Where the log of the bootstrap action is that ended a cluster: stderr, then stdout.
/// Source: "View log files" in the Amazon EMR management guide.
pub(super) fn place_of_bootstrap(ended: &ClusterEnded) -> Option<Vec<Place>> {
    let ClusterEnded { id, code, message, log_uri } = ended;
    if code.as_deref() != Some("BOOTSTRAP_FAILURE") {
        return None;
    }
    let (instance, number) = (instance(message)?, action(message)?);
    let name = |stream: &str| format!("{id}/node/{instance}/bootstrap-actions/{number}/{stream}.gz");
    Some(places(log_uri.as_deref()?, ["stderr", "stdout"].map(name))).filter(|places| !places.is_empty())
}

/// The first instance that a message names.
fn instance(message: &str) -> Option<&str> {
    let mut words = message.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    let is_id = |word: &&str| {
        word.strip_prefix("i-").is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    words.find(is_id)
}

/// Where a step's logs are: stderr, then the controller's.
pub(super) fn places_of_step(uri: &str, cluster: &str, step: &str) -> Vec<Place> {
    places(uri, ["stderr", "controller"].map(|stream| format!("{cluster}/steps/{step}/{stream}.gz")))
}

/// The end of the first of `places` that says something; waits for it as long as logs may take. A later one counts only
/// where those before it are there and say nothing, or do not come: they arrive in any order.
pub(super) async fn fetch(cloud: &Cloud, places: &[Place], tell: impl Fn(&str)) -> Log {
    let Some((bucket, key)) = places.first() else { return Log::None };
    let first = format!("s3://{bucket}/{key}");
    let begin = Instant::now();
    loop {
        let waited = begin.elapsed();
        let is_last = waited >= cloud.pace.logs;
        let (mut silent, mut is_missing) = (None, false);
        for (bucket, key) in places {
            let uri = format!("s3://{bucket}/{key}");
            match get(cloud, bucket, key).await {
                Ok(None) => is_missing = true,
                Ok(Some(lines)) if lines.is_empty() => drop(silent.get_or_insert(uri)),
                Ok(Some(lines)) if is_last || !is_missing => return Log::End { uri, lines },
                Ok(Some(_)) => {}
                Err(why) => return Log::Unreadable { uri, why },
            }
        }
        if is_last {
            return match silent {
                Some(uri) => Log::End { uri, lines: Vec::new() },
                None => Log::Late { uri: first },
            };
        }
        if waited < cloud.pace.poll {
            let seconds = cloud.pace.logs.as_secs();
            tell(&format!(
                "waiting for {first}, which EMR copies every few minutes: {seconds} s at most, Ctrl-C goes on without it"
            ));
        }
        tokio::time::sleep(cloud.pace.poll).await;
    }
}

/// The end of a log; nothing where it is not there yet.
async fn get(cloud: &Cloud, bucket: &str, key: &str) -> Result<Option<Vec<String>>, String> {
    let request = cloud.clients.s3.get_object().bucket(bucket).key(key);
    let answer = match request.send().await.explain("s3:GetObject") {
        Err(error) if error.is_missing() => return Ok(None),
        answer => answer.map_err(|error: CloudError| error.to_string())?,
    };
    if answer.content_length().unwrap_or_default() > MOST_PACKED {
        return Err("it is too large; fetch it by hand".into());
    }
    let packed = answer.body.collect().await.map_err(|error| error.to_string())?.into_bytes();
    unpack(&packed).map(Some)
}

/// The last lines of a gzipped log.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<String>, String> {
    let mut text = Vec::new();
    let mut unpacked = MultiGzDecoder::new(packed).take(MOST);
    unpacked.read_to_end(&mut text).map_err(|error| format!("it is not gzip: {error}"))?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    Ok(lines[lines.len().saturating_sub(LINES)..].iter().map(|line| shown(line)).collect())
}

/// A line that a terminal shows and does not obey.
fn shown(line: &str) -> String {
    let plain: String = line.chars().map(|letter| if letter == '\t' { ' ' } else { letter }).collect();
    let mut plain = plain.chars().filter(|letter| !letter.is_control());
    let mut text: String = plain.by_ref().take(WIDTH).collect();
    if plain.next().is_some() {
        text.push('…');
    }
    text
}
