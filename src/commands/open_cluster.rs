//! `infra open`, for the cluster's pages: in a browser of its own through the tunnel, or by a plain local forward.

use std::net::IpAddr;

use super::{
    Globals,
    open::{carry, listen},
    reach::{Reach, stopped},
    tunnel,
};
use crate::{
    error::{Failure, Result},
    hosts,
    spec::Spec,
    tunnel::{
        ToldPage,
        browser::Browser,
        pages::{self, Page},
        probe,
    },
    ui,
};

/// What was asked of a page of the cluster.
pub(super) struct Wish {
    /// The page's name.
    pub name: String,
    /// A plain local forward, and not the tunnel.
    pub forward: bool,
    /// The forward's port.
    pub port: Option<u16>,
    /// Whether a browser is to be started.
    pub browser: bool,
    /// Only to say whether it answers.
    pub status: bool,
}

/// The cluster's pages, by the spec; none where it has no cluster.
pub(super) fn by_spec(spec: &Spec) -> Vec<Page> {
    let Some(cluster) = &spec.cluster else { return Vec::new() };
    let applications = cluster.applications.iter().map(|name| name.value.as_str());
    pages::of(&cluster.release.to_string(), applications)
}

/// A page that a cluster may have but this stack's has not.
pub(super) fn missing(spec: &Spec, name: &str) -> Option<Failure> {
    let page = pages::named(name)?;
    let Some(cluster) = &spec.cluster else {
        return Some(Failure::new(format!("`{name}` is a page of a cluster, and the spec has none")));
    };
    let application = page.application.unwrap_or("Hadoop");
    let has: Vec<&str> = by_spec(spec).iter().map(|page| page.name).collect();
    let failure = Failure::new(format!("the cluster has no {application} ({})", cluster.span.place()));
    Some(failure.hint(format!("its pages: {}; `applications: [{application}, …]` adds to them", has.join(", "))))
}

/// Shows a page of the cluster.
pub(super) async fn open(globals: &Globals, wish: Wish) -> Result {
    if wish.forward || wish.port.is_some() {
        return Box::pin(forward(globals, &wish)).await;
    }
    let told = Box::pin(tunnel::ensure_up(globals)).await?;
    let Some(page) = told.pages.iter().find(|page| page.name == wish.name) else {
        return Err(not_there(&wish.name, &told.pages));
    };
    let answer = probe::ask(told.port, &told.master.host, std::slice::from_ref(page)).await.pop();
    let reason = answer.and_then(std::result::Result::err);
    if wish.status {
        return status(&wish.name, &told.master.host, reason.as_deref());
    }
    ui::print(&format!("{}\n", page.url))?;
    if let Some(reason) = reason {
        ui::say(&format!("warning: {} does not answer: {reason}", wish.name));
    }
    let browser = Browser::find().filter(|_| wish.browser && hosts::has_display());
    if let Some(browser) = browser {
        let subject = tunnel::Subject::of(globals)?;
        browser.show(&page.url, &told.pac, &subject.folder.browser())?;
        ui::say(&format!("{} shows it, with a profile of its own.", browser.name()));
        return Ok(());
    }
    let why = match (wish.browser, hosts::has_display()) {
        (false, _) => "",
        (true, false) => "There is no display here. ",
        (true, true) => "No browser was found (Chromium, Chrome, Edge, Brave, Firefox). ",
    };
    let flags = tunnel::Subject::of(globals)?.flags;
    ui::say(&format!("{why}A browser that takes the PAC file {} reaches it; so does:", told.pac));
    ui::say(&format!("  curl --socks5-hostname 127.0.0.1:{} {}", told.port, page.url));
    ui::say(&format!("  infra{flags} open {} --forward     for any browser, without a proxy", wish.name));
    Ok(())
}

fn not_there(name: &str, pages: &[ToldPage]) -> Failure {
    let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
    Failure::new(format!("the cluster that runs has no page `{name}`")).hint(format!("its pages: {}", names.join(", ")))
}

fn status(name: &str, host: &str, reason: Option<&str>) -> Result {
    match reason {
        None => {
            ui::print(&format!("{name} on {host}: answers\n"))?;
            Ok(())
        }
        Some(reason) => {
            ui::print(&format!("{name} on {host}: does not answer ({reason})\n"))?;
            Err(Failure::ended(1))
        }
    }
}

/// `--forward`: the page's port here, until Ctrl-C.
async fn forward(globals: &Globals, wish: &Wish) -> Result {
    // Caught from now on: what was opened is closed first.
    let mut stop = std::pin::pin!(stopped()?);
    let reach = Reach::open(globals).await?;
    let shown = async {
        let master = reach.reach_master().await?;
        let applications = master.cluster.applications.iter().map(String::as_str);
        let all = pages::of(&master.cluster.release, applications);
        let Some(page) = all.iter().find(|page| page.name == wish.name) else {
            return Err(missing(&reach.session.spec, &wish.name)
                .unwrap_or_else(|| Failure::new(format!("the cluster that runs has no page `{}`", wish.name))));
        };
        let address: Option<IpAddr> = master.node.private_ip.as_ref().and_then(|address| address.parse().ok());
        let Some(address) = address else {
            return Err(Failure::new(format!("the master of {} has no address", master.cluster.id)));
        };
        // A port that only root may have here gets another one.
        let usual = if page.port < 1024 { page.port + 8000 } else { page.port };
        let listener = listen(page.name, usual, wish.port).await?;
        let here = listener.local_addr().map_err(anyhow::Error::from)?;
        let scheme = if page.tls { "https" } else { "http" };
        let url = format!("{scheme}://{here}{}", page.path);
        // Connects before it says that the page is there.
        let (_line, _over) = reach.hosts().line(master.name).await.map_err(|error| reach.explain(error))?;
        ui::print(&format!("{url}\n"))?;
        ui::say(&format!("{} on {} is open here until Ctrl-C.", page.name, master.name));
        ui::say("Links in it that name other machines of the cluster lead nowhere: those need the tunnel.");
        if wish.browser && hosts::has_display() {
            hosts::show_page(&url);
        }
        Err(carry(&reach, master.name, &listener, (address, page.port)).await)
    };
    let done = tokio::select! {
        failed = shown => failed,
        () = &mut stop => Ok(()),
    };
    reach.hosts().close().await;
    done
}
