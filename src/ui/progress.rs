//! What `apply` is doing: lines that move on a terminal, plain lines with timestamps off it, JSON on request.

use std::{collections::BTreeMap, io::IsTerminal, time::Duration};

use engine::{Event, StepId};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{print, say, style};

/// How to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Moving lines on a terminal, plain ones elsewhere.
    Human,
    /// One JSON object a line, on stdout.
    Json,
}

const STOPPING: &str = "Stopping: no new step starts; waiting for the running ones. Ctrl-C again stops at once.";

/// Shows events until the last sender is gone; the first that could not be written is an error, and none is passed over.
pub async fn show(mut events: UnboundedReceiver<Event>, form: Form) -> anyhow::Result<()> {
    let mut view: Box<dyn View + Send> = match form {
        Form::Json => Box::new(Json),
        Form::Human if std::io::stderr().is_terminal() => Box::new(Moving::default()),
        Form::Human => Box::new(Plain),
    };
    let mut written = Ok(());
    while let Some(event) = events.recv().await {
        let shown = view.show(&event);
        written = written.and(shown);
    }
    written
}

trait View {
    fn show(&mut self, event: &Event) -> anyhow::Result<()>;
}

struct Json;

impl View for Json {
    fn show(&mut self, event: &Event) -> anyhow::Result<()> {
        print(&format!("{}\n", serde_json::to_string(event)?))
    }
}

struct Plain;

impl View for Plain {
    fn show(&mut self, event: &Event) -> anyhow::Result<()> {
        let now = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
        match event {
            Event::Started { address, action, .. } => say(&format!("{now} {action} {address}")),
            Event::Progress { address, message, .. } => say(&format!("{now}   {address}: {message}")),
            Event::Cancelling => say(&format!("{now} {STOPPING}")),
            _ => ended(event).into_iter().for_each(|line| say(&format!("{now} {line}"))),
        }
        Ok(())
    }
}

/// The line that tells how a step ended.
fn ended(event: &Event) -> Option<String> {
    match event {
        Event::Finished { address, action, elapsed, id, error: None, .. } => {
            let id = id.as_ref().map(|id| format!("  {id}")).unwrap_or_default();
            let done = match *action {
                "create" => "created",
                "update" => "changed",
                _ => "deleted",
            };
            Some(format!("{done} {address}{id}  {}", seconds(*elapsed)))
        }
        Event::Finished { address, action, elapsed, error: Some(_), .. } => {
            Some(format!("FAILED to {action} {address}  {}", seconds(*elapsed)))
        }
        Event::Skipped { address, because, .. } => Some(format!("skipped {address}: {because} failed")),
        _ => None,
    }
}

fn seconds(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

#[derive(Default)]
struct Moving {
    lines: MultiProgress,
    running: BTreeMap<StepId, ProgressBar>,
}

impl Moving {
    fn end(&mut self, step: StepId, line: Option<String>, failed: bool) {
        if let Some(bar) = self.running.remove(&step) {
            bar.finish_and_clear();
        }
        if let Some(line) = line {
            let mark = if failed { "!!".style(style::destroy()) } else { " ✓".style(style::create()) };
            let _ = self.lines.println(format!("{mark} {line}"));
        }
    }
}

impl View for Moving {
    fn show(&mut self, event: &Event) -> anyhow::Result<()> {
        match event {
            Event::Started { step, address, action } => {
                let style = ProgressStyle::with_template("{spinner} {prefix}  {elapsed} {wide_msg}");
                let bar = self.lines.add(ProgressBar::new_spinner());
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_prefix(format!("{action} {address}"));
                bar.enable_steady_tick(Duration::from_millis(120));
                self.running.insert(*step, bar);
            }
            Event::Progress { step, message, .. } => {
                if let Some(bar) = self.running.get(step) {
                    bar.set_message(message.clone());
                }
            }
            Event::Cancelling => {
                let _ = self.lines.println(STOPPING);
            }
            Event::Finished { step, error, .. } => self.end(*step, ended(event), error.is_some()),
            Event::Skipped { step, .. } => self.end(*step, ended(event), true),
            _ => {}
        }
        Ok(())
    }
}
