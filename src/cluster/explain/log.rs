//! The end of a log that EMR keeps in a bucket.

use std::{collections::VecDeque, fmt, io, time::Instant};

use super::{
    super::logs::{Folder, Tail},
    blame::action,
};
use crate::{
    cloud::{Cloud, CloudError},
    resources::ClusterEnded,
};

/// Lines of a log that are shown.
const LINES: usize = 20;
/// Characters of a line that are shown.
const WIDTH: usize = 240;
/// Bytes of a line that are kept.
const MOST_OF_A_LINE: usize = 8 << 10;
/// Bytes of a log that are unpacked at most: what a few kilobytes can grow to is not ours to find out.
const MOST: usize = 64 << 20;

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

/// The streams of a bootstrap action, and of a step, that say why it failed; the likelier one first.
pub(super) const OF_BOOTSTRAP: [&str; 2] = ["stderr", "stdout"];
pub(super) const OF_STEP: [&str; 2] = ["stderr", "controller"];

/// Where the log of the bootstrap action is that ended a cluster.
pub(super) fn of_bootstrap(ended: &ClusterEnded) -> Option<Folder> {
    let ClusterEnded { id, code, message, log_uri } = ended;
    if code.as_deref() != Some("BOOTSTRAP_FAILURE") {
        return None;
    }
    Folder::of_bootstrap(log_uri.as_deref()?, id, instance(message)?, action(message)?)
}

/// The first instance that a message names.
fn instance(message: &str) -> Option<&str> {
    let mut words = message.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    let is_id = |word: &&str| {
        word.strip_prefix("i-").is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    words.find(is_id)
}

/// The end of the first of `streams` that says something; waits for it as long as logs may take. A later one counts only
/// where those before it are there and say nothing, or do not come: they arrive in any order.
pub(super) async fn fetch(cloud: &Cloud, folder: &Folder, streams: [&'static str; 2], tell: impl Fn(&str)) -> Log {
    let first = folder.uri_of(streams[0]);
    let mut logs = streams.map(|stream| (Tail::new(folder.clone(), stream), End::default()));
    let begin = Instant::now();
    loop {
        let waited = begin.elapsed();
        let is_last = waited >= cloud.pace.logs;
        let (mut silent, mut is_missing) = (None, false);
        for (tail, end) in &mut logs {
            let uri = folder.uri_of(tail.stream());
            if let Err(error) = tail.more(cloud, &mut |bytes| end.take(bytes)).await {
                return Log::Unreadable { uri, why: why(&error) };
            }
            let lines = end.lines();
            if !tail.is_there() {
                is_missing = true;
            } else if lines.is_empty() {
                silent.get_or_insert(uri);
            } else if is_last || !is_missing {
                return Log::End { uri, lines };
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

/// What AWS said, or else what lies behind all: the place is told already.
fn why(error: &anyhow::Error) -> String {
    let from_aws = error.chain().find_map(|cause| cause.downcast_ref::<CloudError>());
    from_aws.map_or_else(|| error.root_cause().to_string(), ToString::to_string)
}

/// The last lines of a log, of which the rest is forgotten as it passes.
#[derive(Debug, Default)]
pub(super) struct End {
    /// Whole lines, without what a terminal would obey.
    lines: VecDeque<String>,
    /// The beginning of the one that is not over yet.
    begun: Vec<u8>,
    /// How many bytes have passed.
    passed: usize,
}

impl End {
    /// Lets some bytes pass; an error where they are too many.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.passed += bytes.len();
        if self.passed > MOST {
            return Err(io::Error::other("it is too large to look through; fetch it by hand"));
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MOST_OF_A_LINE.saturating_sub(self.begun.len());
            self.begun.extend(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.begun);
                self.lines.extend(shown(&line));
                let over = self.lines.len().saturating_sub(LINES);
                self.lines.drain(..over);
            }
        }
        Ok(())
    }

    /// Those that are there so far.
    pub(super) fn lines(&self) -> Vec<String> {
        let all: Vec<String> = self.lines.iter().cloned().chain(shown(&self.begun)).collect();
        all[all.len().saturating_sub(LINES)..].to_vec()
    }
}

/// A line that a terminal shows and does not obey; nothing for one that is empty.
fn shown(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line);
    if line.trim().is_empty() {
        return None;
    }
    let plain = line.trim_end_matches(['\n', '\r']).chars().map(|letter| if letter == '\t' { ' ' } else { letter });
    let mut plain = plain.filter(|letter| !letter.is_control());
    let mut text: String = plain.by_ref().take(WIDTH).collect();
    if plain.next().is_some() {
        text.push('…');
    }
    Some(text)
}
