//! All that is to be changed on a host at one time, in one script.
//!
//! The engine announces all steps that are due; they come one by one, and once all are there they are put in order and
//! sent as one script that tells how each of them went. One that needs another must not be sent before it, so that
//! nobody is sent while somebody is expected. A step that fails takes down those that need it, and no others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use anyhow::{Context, anyhow, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine::Address;
use openssh::Session;
use tokio::sync::oneshot;

use super::{BOOT_PATIENCE, ConnectError, Hosts, OWNED, PATIENCE, guard, lock, shell};

/// One step's part of a host's script.
#[derive(Clone, Debug)]
pub struct Change {
    /// What it is for.
    pub address: Address,
    /// When its turn is among the others: low ones first.
    pub rank: i16,
    /// Steps that it cannot do without, should they be in the same script.
    pub needs: Vec<Address>,
    /// Functions that it calls; those that several steps name are sent once.
    pub libraries: &'static [&'static str],
    /// POSIX shell, run with `set -eu`; what it prints is told if it fails. May hold secrets: it is shown nowhere.
    pub script: String,
    /// Whether it could lock us out: it calls `guard_file`, and counts as done once a second connection was made.
    pub guarded: bool,
}

struct Waiting {
    change: Change,
    done: oneshot::Sender<anyhow::Result<()>>,
}

/// What waits to be sent to a host.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Vec<Waiting>,
    /// Steps that are due, and have not come yet.
    expected: BTreeSet<Address>,
    busy: bool,
}

impl Queue {
    /// Whether somebody has to be started who sends what waits.
    fn starts(&mut self) -> bool {
        let starts = !self.busy && self.expected.is_empty() && !self.waiting.is_empty();
        self.busy |= starts;
        starts
    }

    /// What is to be sent now; whoever gets nothing is done.
    fn take(&mut self) -> Vec<Waiting> {
        let complete = self.expected.is_empty();
        let waiting = if complete { std::mem::take(&mut self.waiting) } else { Vec::new() };
        self.busy = !waiting.is_empty();
        waiting
    }
}

/// The host that something stands on: `bastion` of `host_user/bastion/ana`.
fn host_of(address: &Address) -> &str {
    address.name.split('/').next().unwrap_or(&address.name)
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { waiting, expected, busy } = self;
        let mut told = f.debug_struct("Queue");
        told.field("waiting", &waiting.len()).field("expected", expected).field("busy", busy).finish()
    }
}

impl Hosts {
    /// Takes note of steps that are due: what comes for a host is sent once all of them are there.
    pub fn expect(&self, addresses: &[&Address]) {
        let mut queues = lock(&self.shared.queues);
        for address in addresses {
            queues.entry(host_of(address).to_owned()).or_default().expected.insert((*address).clone());
        }
    }

    /// A step is over: where it failed before it came here, nobody waits for it any more.
    pub fn expect_no_more(&self, address: &Address) {
        let host = host_of(address);
        self.look(host, |queue| {
            queue.expected.remove(address);
        });
    }

    /// Makes a change, together with all others that are due.
    pub async fn change(&self, host: &str, change: Change) -> anyhow::Result<()> {
        let (done, wait) = oneshot::channel();
        self.look(host, |queue| {
            queue.expected.remove(&change.address);
            queue.waiting.push(Waiting { change, done });
        });
        wait.await.context("the host's script was not run")?
    }

    /// Does something to a host's queue, and has it sent if it is complete then.
    fn look(&self, host: &str, change: impl FnOnce(&mut Queue)) {
        let mut queues = lock(&self.shared.queues);
        let queue = queues.entry(host.to_owned()).or_default();
        change(queue);
        if queue.starts() {
            tokio::spawn(self.clone().drain(host.to_owned()));
        }
    }

    async fn drain(self, host: String) {
        loop {
            let waiting = lock(&self.shared.queues).entry(host.clone()).or_default().take();
            if waiting.is_empty() {
                return;
            }
            self.send(&host, waiting).await;
        }
    }

    async fn send(&self, host: &str, mut waiting: Vec<Waiting>) {
        waiting.sort_by(|one, other| {
            let key = |waiting: &Waiting| (waiting.change.rank, waiting.change.address.clone());
            key(one).cmp(&key(other))
        });
        let script = script(&self.shared.stack, &waiting);
        let mut open: BTreeMap<usize, Waiting> = waiting.into_iter().enumerate().collect();
        let names: BTreeMap<usize, Address> =
            open.iter().map(|(&at, waiting)| (at, waiting.change.address.clone())).collect();
        // Done, but nobody has come in since.
        let mut unproven: Vec<Waiting> = Vec::new();
        let mut busy = false;
        let session = self.session(host, BOOT_PATIENCE).await;
        let result = match session.as_ref().map(|cell| cell.get()) {
            Ok(Some(session)) => {
                let told = |line: &str| {
                    let fields: Vec<&str> = line.split('\t').collect();
                    match fields[..] {
                        ["busy"] => busy = true,
                        ["done", at, status, said] => {
                            let Some(step) = at.parse().ok().and_then(|at: usize| open.remove(&at)) else { return };
                            match outcome(host, status, said, &names) {
                                Ok(()) if step.change.guarded => unproven.push(step),
                                // Nobody waits where the run was stopped.
                                result => drop(step.done.send(result)),
                            }
                        }
                        _ => {}
                    }
                };
                let ran = self.run(session, host, &script, told).await;
                if !unproven.is_empty() {
                    let proof = self.prove(host, session).await.map_err(|error| format!("{error:#}"));
                    for step in unproven {
                        let _ = step.done.send(proof.clone().map_err(|error| anyhow!(error)));
                    }
                }
                ran
            }
            Ok(None) => Err(anyhow!("{host}: the connection is gone")),
            Err(error) => Err(again(error)),
        };
        let why = match result {
            _ if busy => anyhow!("{host}: another infra is changing it"),
            Ok(()) => anyhow!("{host}: the script told nothing about this step"),
            Err(error) => error,
        };
        for step in open.into_values() {
            let _ = step.done.send(Err(again(&why)));
        }
    }

    /// Comes in by a second connection and stops the timer; if that fails, has the change undone.
    async fn prove(&self, host: &str, first: &Session) -> anyhow::Result<()> {
        let attempt = async {
            let second = self.connect(host, PATIENCE).await?;
            let mut said = String::new();
            let ran = self.run(&second, host, &guard::confirm(OWNED), |line| line.clone_into(&mut said)).await;
            let _ = second.close().await;
            ran?;
            match said.as_str() {
                "confirmed" => Ok(()),
                _ => bail!("it was undone before it was confirmed"),
            }
        };
        let Err(error) = attempt.await else { return Ok(()) };
        let undone = match self.run(first, host, &guard::undo(OWNED), |_| ()).await {
            Ok(()) => "it was undone".to_owned(),
            Err(_) => format!("the host undoes it by itself within {} seconds", guard::UNDO_SECONDS),
        };
        Err(error.context(format!("after the change, {host} let nobody in by a second connection; {undone}")))
    }
}

/// An error once more, for another step: as text, but where no connection was made as what it is, so that whoever tells
/// it can say what to do.
fn again(error: &anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<ConnectError>() {
        Some(refused) => refused.clone().into(),
        None => anyhow!("{error:#}"),
    }
}

fn outcome(host: &str, status: &str, said: &str, names: &BTreeMap<usize, Address>) -> anyhow::Result<()> {
    if status == "0" {
        return Ok(());
    }
    if status == "needs" {
        let needed = said.parse().ok().and_then(|at: usize| names.get(&at));
        let needed = needed.map_or_else(|| "a step before it".to_owned(), ToString::to_string);
        bail!("not tried, because {needed} failed");
    }
    let said = BASE64_STANDARD.decode(said).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let said = said.trim();
    if said.is_empty() {
        bail!("{host}: it ended with status {status}");
    }
    bail!("{host}: {said}")
}

const FUNCTIONS: &str = r#"
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
umask 022
cd /
# A host behind a proxy says so there; sudo does not pass it on.
if [ -r /etc/environment ]; then
    eval "$(sed -n -E 's/^(export )?([A-Za-z_]*(_proxy|_PROXY|_CERT|_CERT_FILE|_CA_BUNDLE)=)/export \2/p' /etc/environment)"
fi
mkdir -p "$owned/$stack"
chmod 700 "$owned"
exec 9>"$owned/lock"
if ! flock -w 30 9; then printf 'busy\n'; exit 0; fi
work=$(mktemp -d /run/infra.XXXXXX)
trap 'rm -rf "$work"' EXIT
lost=' '
fail() { printf '%s\n' "$*" >&2; exit 1; }
# own KIND NAME NOTE: written before the object is made, so that a crash leaves nothing that nobody knows.
own() {
    mkdir -p "$owned/$stack/$1"
    printf '%s\n' "$3" >"$owned/new"
    mv "$owned/new" "$owned/$stack/$1/$2"
}
owns() { [ -e "$owned/$stack/$1/$2" ]; }
forget() { rm -f "$owned/$stack/$1/$2"; }
# put_file PATH MODE OWNER: from standard input, whole or not at all.
put_file() {
    folder=${1%/*}
    fresh=$(mktemp "$folder/.infra.XXXXXX")
    cat >"$fresh"
    chown "$3" "$fresh"
    chmod "$2" "$fresh"
    mv -f "$fresh" "$1"
}
# step INDEX NEEDED...
step() {
    at=$1
    shift
    for needed in "$@"; do
        case $lost in *" $needed "*)
            lost="$lost$at "
            printf 'done\t%s\tneeds\t%s\n' "$at" "$needed"
            return
        ;; esac
    done
    ( set -eu; "step_$at" ) >"$work/out" 2>&1 </dev/null 9>&-
    status=$?
    if [ $status != 0 ]; then lost="$lost$at "; fi
    if [ $status = 0 ]; then said=; else said=$(tail -c 2000 "$work/out" | base64 -w0); fi
    printf 'done\t%s\t%s\t%s\n' "$at" "$status" "$said"
}
"#;

fn script(stack: &str, steps: &[Waiting]) -> String {
    let mut text = format!("owned={OWNED}\nstack={}\nundo_seconds={}\n", shell::quote(stack), guard::UNDO_SECONDS);
    text.push_str(FUNCTIONS);
    text.push_str(guard::FUNCTIONS);
    let libraries: BTreeSet<&str> = steps.iter().flat_map(|step| step.change.libraries).copied().collect();
    for library in libraries {
        text.push_str(library);
    }
    for (at, step) in steps.iter().enumerate() {
        let _ = write!(text, "step_{at}() {{\n:\n{}\n}}\n", step.change.script);
    }
    for (at, step) in steps.iter().enumerate() {
        let _ = write!(text, "step {at}");
        for (other, needed) in steps.iter().enumerate().take(at) {
            if step.change.needs.contains(&needed.change.address) {
                let _ = write!(text, " {other}");
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(kind: &'static str, name: &str) -> Address {
        Address::new(kind, name)
    }

    fn waiting(address: &Address) -> Waiting {
        let change = Change {
            address: address.clone(),
            rank: 0,
            needs: Vec::new(),
            libraries: &[],
            script: String::new(),
            guarded: false,
        };
        Waiting { change, done: oneshot::channel().0 }
    }

    #[test]
    fn nobody_is_sent_while_somebody_is_expected() {
        let (group, user, late) =
            (address("host_group", "h/all"), address("host_user", "h/ana"), address("host_user", "h/bea"));
        let mut queue = Queue { expected: BTreeSet::from([group.clone(), user.clone()]), ..Queue::default() };
        // The one that needs the other comes first, by however much.
        queue.expected.remove(&user);
        queue.waiting.push(waiting(&user));
        assert!(!queue.starts() && queue.take().is_empty());
        queue.expected.remove(&group);
        queue.waiting.push(waiting(&group));
        assert!(queue.starts() && !queue.starts(), "started once");
        assert_eq!(queue.take().len(), 2);
        // While these are sent, others become due.
        queue.expected.insert(late.clone());
        queue.waiting.push(waiting(&user));
        assert!(!queue.starts() && queue.take().is_empty());
        // One that failed on its way is waited for no more.
        queue.expected.remove(&late);
        assert!(queue.starts());
        assert_eq!(queue.take().len(), 1);
        assert!(queue.take().is_empty() && !queue.starts());
    }

    #[test]
    fn what_stands_on_a_host_names_it() {
        assert_eq!(host_of(&address("host_user", "bastion/ana")), "bastion");
        assert_eq!(host_of(&address("sshd", "bastion")), "bastion");
    }
}
