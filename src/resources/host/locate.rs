//! Where the hosts are, and which keys they must show.
//!
//! An instance's keys are read from its console output, which only AWS can have written, and are pinned under the
//! instance's id. AWS shows the console of a new instance some minutes late, so that a first run may have to wait.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine::{Inventory, Result, StepContext};

use super::{
    super::{ElasticIp, MasterNode},
    Instance, OnHost,
};
use crate::{
    cloud::{Cloud, Explain},
    hosts::{At, Endpoint, Place, console_keys},
};

const SSH: u16 = 22;

/// How long the console output of a new instance may take. AWS: "posted shortly after boot", in practice minutes.
const CONSOLE_DEADLINE: Duration = Duration::from_mins(10);

/// All hosts that exist and run, by name, once a pass.
pub(super) async fn all(cloud: &Cloud, known: &Inventory) -> Result<Arc<Vec<String>>> {
    let cell = cloud.reads.located();
    let found = cell.get_or_try_init(|| async {
        let mut found = Vec::new();
        for place in cloud.hosts.places().values() {
            if locate(cloud, known, place, None).await? {
                found.push(place.name.clone());
            }
        }
        // One that is reached through another waits for it.
        let reachable = |name: &String| {
            let via = cloud.hosts.places().get(name).and_then(|place| place.via.as_ref());
            via.is_none_or(|via| found.contains(via))
        };
        anyhow::Ok(Arc::new(found.iter().filter(|name| reachable(name)).cloned().collect::<Vec<_>>()))
    });
    found.await.cloned()
}

/// The host of a step, and those that it is reached through; they may have been made a moment ago.
pub(super) async fn one(cx: &StepContext<'_, Cloud>, on: &OnHost) -> Result<()> {
    let cloud = cx.world;
    let _turn = cloud.reads.locating().lock().await;
    let known = cx.known();
    let mut next = Some(on.host.as_str());
    while let Some(name) = next {
        let place = cloud.hosts.places().get(name).with_context(|| format!("the stack has no host {name}"))?;
        if !locate(cloud, &known, place, Some(cx)).await? {
            bail!("{name} does not run");
        }
        next = place.via.as_deref();
    }
    Ok(())
}

/// Notes where a host is and pins its keys; false where it does not run.
pub async fn locate(
    cloud: &Cloud,
    known: &Inventory,
    place: &Place,
    cx: Option<&StepContext<'_, Cloud>>,
) -> Result<bool> {
    let files = cloud.hosts.files();
    let endpoint = match &place.at {
        At::Server { address, port, host_key } => {
            let alias = if *port == SSH { address.clone() } else { format!("[{address}]:{port}") };
            if let Some(key) = host_key
                && files.pinned(&place.at, &alias).ne([key.clone()])
            {
                files.pin(&place.at, &alias, std::slice::from_ref(key))?;
            }
            Endpoint { address: address.clone(), port: *port, alias }
        }
        At::Instance => {
            let Some(instance) = known.find::<Cloud, Instance>(&place.name) else { return Ok(false) };
            if instance.state != "running" {
                return Ok(false);
            }
            // An address that was attached late is not in what its instance's step saw.
            let elastic = known.find::<Cloud, ElasticIp>(&place.name).map(|address| address.public_ip.clone());
            let address = match place.via {
                Some(_) => instance.private_ip.clone(),
                None => elastic.or_else(|| instance.public_ip.clone()).or_else(|| instance.private_ip.clone()),
            };
            machine(cloud, place, &instance.id, address, cx).await?
        }
        // It belongs to whoever looks for the cluster.
        At::Master => return Ok(false),
    };
    cloud.hosts.locate(&place.name, endpoint)?;
    Ok(true)
}

/// Notes where the cluster's master is and pins its keys.
pub async fn locate_master(cloud: &Cloud, place: &Place, node: &MasterNode) -> Result<()> {
    let MasterNode { id, private_ip, public_ip, .. } = node;
    let address = match place.via {
        Some(_) => private_ip.clone(),
        None => public_ip.clone().or_else(|| private_ip.clone()),
    };
    let endpoint = machine(cloud, place, id, address, None).await?;
    cloud.hosts.locate(&place.name, endpoint)
}

/// Where a machine of EC2 is; its keys are pinned from now on.
async fn machine(
    cloud: &Cloud,
    place: &Place,
    id: &str,
    address: Option<String>,
    cx: Option<&StepContext<'_, Cloud>>,
) -> Result<Endpoint> {
    let files = cloud.hosts.files();
    let address = address.with_context(|| format!("{} has no address", place.name))?;
    if !files.is_pinned(&place.at, id) && !cloud.hosts.trusts_first() {
        let keys = console(cloud, &place.name, id, cx).await?;
        files.pin(&place.at, id, &keys)?;
    }
    Ok(Endpoint { address, port: SSH, alias: id.to_owned() })
}

async fn console(cloud: &Cloud, host: &str, id: &str, cx: Option<&StepContext<'_, Cloud>>) -> Result<Vec<String>> {
    let look = || async {
        let answer = cloud.clients.ec2.get_console_output().instance_id(id).send().await;
        let text = answer.explain("ec2:GetConsoleOutput")?.output.unwrap_or_default();
        let text = BASE64_STANDARD.decode(text.trim()).unwrap_or_default();
        let keys = console_keys(&String::from_utf8_lossy(&text));
        Ok((!keys.is_empty()).then_some(keys))
    };
    match cx {
        Some(cx) => {
            let what = format!("{host} to print its host keys on its console");
            cloud.wait(cx, what, CONSOLE_DEADLINE, look).await
        }
        None => look().await?.with_context(|| NoKeys(host.to_owned()).to_string()),
    }
}

/// A host has not printed its keys.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0}: its console output shows no host keys, so that it cannot be told from another machine at its address \
     (a new instance's console comes some minutes late; `--trust-first` believes it at the first meeting)"
)]
struct NoKeys(String);
