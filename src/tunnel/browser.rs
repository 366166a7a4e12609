//! A browser with a profile of its own, in which the cluster's pages go through the tunnel. The user's own profile is
//! left alone.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context;
use tokio::process::Command;

use crate::workspace::private_folder;

/// Browsers, as they are called; the first that is there is taken.
const NAMES: [(&str, Sort); 9] = [
    ("chromium", Sort::Chromium),
    ("chromium-browser", Sort::Chromium),
    ("google-chrome", Sort::Chromium),
    ("google-chrome-stable", Sort::Chromium),
    ("brave-browser", Sort::Chromium),
    ("microsoft-edge", Sort::Chromium),
    ("microsoft-edge-stable", Sort::Chromium),
    ("firefox", Sort::Firefox),
    ("firefox-esr", Sort::Firefox),
];

/// Where they are on a Mac.
const ON_MAC: [(&str, Sort); 4] = [
    ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", Sort::Chromium),
    ("/Applications/Chromium.app/Contents/MacOS/Chromium", Sort::Chromium),
    ("/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge", Sort::Chromium),
    ("/Applications/Firefox.app/Contents/MacOS/firefox", Sort::Firefox),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Chromium,
    Firefox,
}

/// A browser that is installed.
#[derive(Clone, Debug)]
pub struct Browser {
    program: PathBuf,
    sort: Sort,
}

impl Browser {
    /// The first that is found.
    pub fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let named = NAMES.iter().filter_map(|(name, sort)| {
            let program = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())?;
            Some(Self { program, sort: *sort })
        });
        let on_mac = ON_MAC.iter().map(|(file, sort)| Self { program: file.into(), sort: *sort });
        named.chain(on_mac.filter(|browser| browser.program.is_file())).next()
    }

    /// What it is called.
    pub fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Shows `url`, by the PAC file at `pac`, in the profile in `folder`; does not wait.
    pub fn show(&self, url: &str, pac: &str, folder: &Path) -> anyhow::Result<()> {
        let profile = folder.join(match self.sort {
            Sort::Chromium => "chromium",
            Sort::Firefox => "firefox",
        });
        private_folder(&profile).with_context(|| format!("cannot make the folder {}", profile.display()))?;
        let mut command = Command::new(&self.program);
        match self.sort {
            Sort::Chromium => {
                // A SOCKS5 proxy is told names, so that they are resolved at its far end.
                command.arg(format!("--user-data-dir={}", profile.display()));
                command.arg(format!("--proxy-pac-url={pac}"));
                command.args(["--no-first-run", "--no-default-browser-check", "--disable-quic"]);
                command.arg(url);
            }
            Sort::Firefox => {
                let file = profile.join("user.js");
                fs::write(&file, preferences(pac)).with_context(|| format!("cannot write {}", file.display()))?;
                command.arg("--no-remote").arg("--profile").arg(&profile).arg(url);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // A Ctrl-C that ends us is none of the browser's.
        command.process_group(0);
        command.spawn().with_context(|| format!("cannot run {}", self.program.display()))?;
        Ok(())
    }
}

/// What Firefox reads when it starts with a profile.
fn preferences(pac: &str) -> String {
    let settings = [
        ("network.proxy.type", "2".to_owned()),
        ("network.proxy.autoconfig_url", format!("{pac:?}")),
        ("network.proxy.socks_remote_dns", "true".to_owned()),
        ("browser.aboutwelcome.enabled", "false".to_owned()),
        ("browser.shell.checkDefaultBrowser", "false".to_owned()),
        ("datareporting.policy.dataSubmissionEnabled", "false".to_owned()),
        ("dom.security.https_only_mode", "false".to_owned()),
    ];
    let mut text = String::new();
    for (name, value) in settings {
        let _ = writeln!(text, "user_pref(\"{name}\", {value});");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_browser_is_told_its_profile_and_the_pac_file() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("any");
        let told = folder.path().join("told");
        fs::write(&program, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >{0}.new; mv {0}.new {0}\n", told.display()))
            .unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        for (sort, wanted) in
            [(Sort::Chromium, "--proxy-pac-url=http://127.0.0.1:8157/proxy.pac"), (Sort::Firefox, "--profile")]
        {
            let browser = Browser { program: program.clone(), sort };
            browser.show("http://page/", "http://127.0.0.1:8157/proxy.pac", folder.path()).unwrap();
            for _ in 0..500 {
                if told.exists() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            let lines = fs::read_to_string(&told).unwrap();
            assert!(lines.lines().any(|line| line == wanted) && lines.ends_with("http://page/\n"), "{lines}");
            fs::remove_file(&told).unwrap();
        }
        let preferences = fs::read_to_string(folder.path().join("firefox/user.js")).unwrap();
        assert!(preferences.contains("user_pref(\"network.proxy.socks_remote_dns\", true);"), "{preferences}");
        assert!(preferences.contains("\"http://127.0.0.1:8157/proxy.pac\""), "{preferences}");
    }
}
