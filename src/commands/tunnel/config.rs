//! `infra tunnel config`.

use clap::{Args, ValueEnum};

use super::{super::Globals, Subject, network};
use crate::{
    error::{Failure, Result},
    tunnel::{self, Found},
    ui,
};

/// Prints settings by which a browser sends the cluster's pages through the tunnel, and everything else direct.
///
/// What is the cluster's: addresses of the stack's own network, names in `*.compute.internal` and `*.ec2.internal`, and
/// the region's public names of hosts where the cluster is in a public subnet. `infra open` needs none of this.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra tunnel config pac > proxy.pac
  infra tunnel config foxyproxy > foxyproxy.json
  infra tunnel config foxyproxy-7 > foxyproxy-settings.xml
  infra tunnel config pac --port 9157")]
pub struct Config {
    /// What for.
    #[arg(value_enum)]
    format: Format,
    /// The tunnel's port; by default that of the one that is open, or else 8157.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

/// What settings are for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A PAC file, for every browser; an open tunnel serves it too, at an address that `status` tells.
    Pac,
    /// `FoxyProxy` 8 and 9: JSON.
    Foxyproxy,
    /// `FoxyProxy` 7: XML, customarily called `foxyproxy-settings.xml`.
    #[value(name = "foxyproxy-7")]
    Foxyproxy7,
}

impl Config {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { format, port } = self;
        let subject = Subject::of(globals)?;
        if subject.spec.cluster.is_none() {
            return Err(Failure::new("the spec has no cluster, so that there is nothing to tunnel to"));
        }
        let port = match (port, subject.folder.find().await?) {
            (Some(port), _) => port,
            (None, Found::Up(told)) => told.port,
            (None, _) => tunnel::PORT,
        };
        let network = network(&subject.spec);
        ui::print(&match format {
            Format::Pac => tunnel::pac(&network, port),
            Format::Foxyproxy => tunnel::foxyproxy(&network, port),
            Format::Foxyproxy7 => tunnel::foxyproxy_7(&network, port),
        })?;
        Ok(())
    }
}
