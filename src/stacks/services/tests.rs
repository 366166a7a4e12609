use super::*;
use crate::spec::{LoadOptions, load};

#[test]
fn dump() {
    let Ok(out) = std::env::var("DUMP") else { return };
    for stack in ["nyc311", "vendas"] {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("infra/{stack}.yaml"));
        let spec = load(&file, &LoadOptions::default()).unwrap();
        for (name, host) in &spec.hosts {
            let python = std::env::var("DUMP_PYTHON").ok();
            let facts = HostFacts { network: Some("10.0.0.0/16".parse().unwrap()), python };
            let setup = setup(&host.services, &facts);
            let j = |f: &FileSetup| serde_json::json!({"path": f.path, "content": f.content, "mode": f.mode, "owner": f.owner});
            let value = serde_json::json!({
                "packages": setup.packages,
                "accounts": setup.accounts.iter().map(|a| (a.name, a.home)).collect::<Vec<_>>(),
                "files": setup.files.iter().map(j).collect::<Vec<_>>(),
                "venvs": setup.venvs.iter().map(|v| serde_json::json!({"path": v.path, "python": v.python, "build": v.build, "requirements": v.requirements})).collect::<Vec<_>>(),
                "docker": setup.docker.iter().map(|d| serde_json::json!({"package": d.package, "config": j(&d.config)})).collect::<Vec<_>>(),
                "services": setup.services.iter().map(|s| serde_json::json!({"unit": s.unit, "content": s.content, "enabled": s.enabled, "restart_on": s.restart_on})).collect::<Vec<_>>(),
            });
            std::fs::write(format!("{out}/{name}.json"), value.to_string()).unwrap();
        }
    }
}
