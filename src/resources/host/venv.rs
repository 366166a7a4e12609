//! A Python environment on a host, with exactly the packages that are listed.

use std::collections::BTreeSet;

use engine::{Address, Diff, Effect, Identity, Inventory, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::json;

use super::{
    LAYER, OnHost, each,
    file::{mark, sha256},
    rank, remove, send, split,
};
use crate::{
    cloud::Cloud,
    hosts::{Change, shell},
};

/// A Python environment. It is root's, and everybody may read it.
#[derive(Clone, Debug, Serialize)]
pub struct PythonVenv {
    /// The host.
    #[serde(skip)]
    pub on: OnHost,
    /// Where it is.
    pub path: String,
    /// The interpreter that makes it: `python3.10`.
    pub python: String,
    /// Every package with its version and checksums, in pip's format: nothing else is installed. Shown by their number.
    #[serde(serialize_with = "counted")]
    pub requirements: String,
    /// What builds the few packages that have no wheel, pinned as the rest; may be empty.
    #[serde(skip)]
    pub build: String,
    /// What must be there first.
    #[serde(skip)]
    pub needs: Vec<Address>,
}

fn counted<S: serde::Serializer>(requirements: &str, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} pinned packages", pinned(requirements).len()))
}

/// What a host tells of an environment.
#[derive(Clone, Debug, Serialize)]
pub struct PythonVenvObserved {
    /// The host.
    pub host: String,
    /// Its name among ours.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// Python's version; nothing where the environment is gone.
    pub python: Option<String>,
    /// What is installed: `luigi-3.6.0`, in the spelling of its folders.
    pub installed: BTreeSet<String>,
    #[serde(skip)]
    digest: String,
}

/// The packages that requirements name, in one spelling: `flask_session-0.5.0`.
fn pinned(requirements: &str) -> BTreeSet<String> {
    let lines = requirements.lines().map(str::trim).filter(|line| !line.starts_with(['#', '-']));
    lines
        .filter_map(|line| {
            let (name, rest) = line.split_once("==")?;
            let version = rest.split([' ', ';', '\\']).next()?;
            // What is in brackets are extras, whose packages stand on lines of their own.
            Some(spelled(&format!("{}-{version}", name.split('[').next()?.trim())))
        })
        .collect()
}

/// One spelling of a distribution's folder, for all the ways in which tools write it (PEP 503).
fn spelled(folder: &str) -> String {
    let (name, version) = folder.split_once('-').map_or((folder, ""), |_| {
        let at = folder.rfind('-').unwrap_or(folder.len());
        (&folder[..at], &folder[at + 1..])
    });
    let mut spelled = String::new();
    for letter in name.chars().map(|letter| letter.to_ascii_lowercase()) {
        if !matches!(letter, '-' | '_' | '.') {
            spelled.push(letter);
        } else if !spelled.ends_with('_') {
            spelled.push('_');
        }
    }
    format!("{spelled}-{version}")
}

impl PythonVenv {
    fn digest(&self) -> String {
        sha256(&format!("{}\0{}\0{}", self.path, self.python, self.requirements))
    }
}

impl Resource<Cloud> for PythonVenv {
    const KIND: &'static str = "python_venv";
    const LAYER: &'static str = LAYER;
    const AFTER: &'static [&'static str] = super::AFTER;
    const OBSERVES_AFTER: &'static [&'static str] = &["instance", "elastic_ip"];
    const IDENTITY: Identity = Identity::Name;
    const GATHERED: bool = true;
    const TYPICAL_SECONDS: u32 = 60;
    type Observed = PythonVenvObserved;

    fn refs(&self) -> Vec<&Address> {
        self.on.refs()
    }

    fn within(&self) -> Option<&Address> {
        self.on.within()
    }

    fn needs(&self) -> Vec<&Address> {
        self.needs.iter().collect()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, PythonVenvObserved)>> {
        let mut found = Vec::new();
        for (host, facts) in each(cloud, known).await? {
            for (name, note) in facts.owned(Self::KIND) {
                let (path, digest) = note.split_once(' ').unwrap_or((note, ""));
                let venv = facts.venvs.get(path);
                let observed = PythonVenvObserved {
                    host: host.clone(),
                    name: name.to_owned(),
                    path: path.to_owned(),
                    python: venv.map(|venv| venv.python.clone()),
                    installed: venv.iter().flat_map(|venv| &venv.installed).map(|folder| spelled(folder)).collect(),
                    digest: digest.to_owned(),
                };
                found.push((format!("{host}/{name}"), observed));
            }
        }
        Ok(found)
    }

    fn id(observed: &PythonVenvObserved) -> String {
        format!("{}:{}", observed.host, observed.path)
    }

    fn diff(&self, observed: &PythonVenvObserved, _: &Inventory) -> Diff {
        let Self { on: _, path, python, requirements, build, needs: _ } = self;
        let mut diff = Diff::default();
        diff.fixed("path", &observed.path, path);
        let Some(has) = &observed.python else {
            diff.push("environment", json!("missing"), json!(path), Effect::InPlace);
            return diff;
        };
        let version = python.trim_start_matches("python");
        if version.contains('.') && has != version {
            diff.push("python", json!(has), json!(version), Effect::Interrupts);
        }
        let wanted: BTreeSet<String> = pinned(requirements).union(&pinned(build)).cloned().collect();
        // pip and its kin come with every environment.
        let tools = |folder: &&String| ["pip-", "setuptools-", "wheel-"].iter().any(|tool| folder.starts_with(tool));
        let going: BTreeSet<&String> = observed.installed.difference(&wanted).filter(|one| !tools(one)).collect();
        let coming: BTreeSet<&String> = wanted.difference(&observed.installed).collect();
        if !going.is_empty() || !coming.is_empty() {
            diff.push("installed", json!(going), json!(coming), Effect::InPlace);
        } else if observed.digest != self.digest() {
            diff.push("requirements", json!("older ones"), json!("the present ones"), Effect::InPlace);
        }
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<PythonVenvObserved> {
        let Self { on, path, python, requirements, build, needs } = self;
        let address = cx.address().clone();
        let name = split(&address.name).1.to_owned();
        let (digest, mark) = (self.digest(), mark(&format!("{build}\n{requirements}")));
        let script = format!(
            "cat >\"$work/build\" <<'{mark}'\n{build}\n{mark}\nvenv_put {} {} {} {digest} <<'{mark}'\n{requirements}\n{mark}",
            shell::quote(&name),
            shell::quote(path),
            shell::quote(python),
        );
        let change =
            Change { address, rank: rank::VENV, needs: needs.clone(), libraries: &[LIBRARY], script, guarded: false };
        send(cx, on, change).await?;
        Ok(PythonVenvObserved {
            host: on.host.clone(),
            name,
            path: path.clone(),
            python: Some(python.trim_start_matches("python").to_owned()),
            installed: pinned(requirements),
            digest,
        })
    }

    async fn update(
        &self,
        _: &PythonVenvObserved,
        _: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<PythonVenvObserved> {
        self.create(cx).await
    }

    async fn delete(observed: &PythonVenvObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let (name, path) = (shell::quote(&observed.name), shell::quote(&observed.path));
        remove(cx, &[LIBRARY], format!("rm -rf -- {path}\nforget python_venv {name}"), false).await
    }
}

const LIBRARY: &str = r#"
# venv_put NAME PATH PYTHON DIGEST
venv_put() {
    before=$(cat "$owned/$stack/python_venv/$1" 2>/dev/null || true)
    own python_venv "$1" "$2 ${before#* }"
    cat >"$work/requirements"
    # One that the distribution does not have is found where others put it.
    python=$(PATH=$PATH:/usr/local/bin; command -v "$3") ||
        fail "this host has no $3; it has: $(ls /usr/bin/python3.? /usr/bin/python3.?? /usr/local/bin/python3.?? 2>/dev/null | tr '\n' ' ')"
    want=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    have=$("$2/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
    if [ "$want" != "$have" ]; then
        rm -rf "$2"
        mkdir -p "${2%/*}"
        "$python" -m venv "$2"
    fi
    # Versions and checksums are given for all: pip decides nothing.
    pip="$2/bin/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps --require-hashes"
    if grep -q == "$work/build"; then $pip -r "$work/build"; fi
    $pip --no-build-isolation -r "$work/requirements"
    # What is not listed goes.
    "$2/bin/python" -m pip freeze --all --disable-pip-version-check | sed -n 's/==.*//p' |
        tr 'A-Z_.' 'a-z--' | sort -u >"$work/has"
    cat "$work/build" "$work/requirements" | sed -n 's/^\([A-Za-z0-9._-]*\)\(\[.*\]\)\{0,1\}==.*/\1/p' | tr 'A-Z_.' 'a-z--' | sort -u >"$work/listed"
    extra=$(comm -23 "$work/has" "$work/listed" | grep -vxE 'pip|setuptools|wheel' || true)
    if [ -n "$extra" ]; then "$2/bin/python" -m pip uninstall --quiet --yes $extra; fi
    own python_venv "$1" "$2 $4"
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_and_folders_are_spelled_alike() {
        let requirements = "# a comment\nFlask-Session==0.5.0 \\\n    --hash=sha256:00\nzope.interface==6.1\nx[y]==1 ; python_version>'3'\n";
        let wanted = ["flask_session-0.5.0", "x-1", "zope_interface-6.1"].map(str::to_owned);
        assert_eq!(pinned(requirements), BTreeSet::from(wanted));
        assert_eq!(spelled("Flask_Session-0.5.0"), "flask_session-0.5.0");
        assert_eq!(spelled("zope.interface-6.1"), "zope_interface-6.1");
        assert_eq!(spelled("backports.zoneinfo-0.2"), "backports_zoneinfo-0.2");
    }
}
