//! The docker engine, from the distribution.

use super::{
    setup::{DockerSetup, FileSetup, HostSetup},
    template,
};
use crate::spec::Docker;

pub(super) fn add(setup: &mut HostSetup, docker: &Docker) {
    setup.docker = Some(DockerSetup {
        package: "docker.io",
        unit: "docker.service",
        config: FileSetup {
            path: "/etc/docker/daemon.json",
            content: template::DOCKER_DAEMON.into(),
            mode: 0o644,
            owner: "root",
        },
        members: docker.users.iter().map(|user| user.value.clone()).collect(),
    });
}
