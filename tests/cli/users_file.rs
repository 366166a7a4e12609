//! A bad `users.txt` is told with its places by every verb that reads the spec, before anybody is asked.

use crate::support::{
    cli::{Project, Run},
    proxy::{Behaviour, Proxy},
    world::endpoint,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_in_the_list_stop_every_verb_before_the_cloud_is_asked() {
    let project = Project::new(&endpoint(), None);
    let proxy = Proxy::start(&endpoint(), Behaviour::default()).await;
    project
        .write("users.txt", "valentina\nroot\nmateo; reboot\nximena password=sa1O7Z1pCJzK.\ntomas key=nowhere.pub\n");
    let flags = ["--local", "-f", "infra/nyc311.yaml"];
    for verb in [&["validate"][..], &["plan"], &["apply", "--yes"], &["destroy", "--yes"], &["verify"], &["status"]] {
        let arguments = [&flags, verb].concat();
        let run: Run = project.command(Some(&proxy.endpoint), &arguments).output().expect("it starts").into();
        let run = run.expect(1);
        let run = run.says(&[
            "--> users.txt:2:1",
            "`root` is an account of the system's own",
            "--> users.txt:3:6",
            "--> users.txt:4:17",
            "this is the sample hash of the original instructions",
            "--> users.txt:5:11",
            "there is no file keys/nowhere.pub",
        ]);
        assert!(!run.err.contains("sa1O7Z1pCJzK."), "{}", run.err);
        assert_eq!(run.out, "");
    }
    assert_eq!(proxy.traffic().calls, 0);
}

#[test]
fn the_shipped_list_is_good_and_its_absence_is_told() {
    let project = Project::new("http://127.0.0.1:9", None);
    let validate = |project: &Project| project.run(&["validate", "-f", "infra/nyc311.yaml"]);
    validate(&project).expect(0);
    std::fs::remove_file(project.path("keys/mateo.pub")).expect("a shipped key");
    validate(&project).expect(1).says(&["--> users.txt:", "`mateo` has no key: there is no file keys/mateo.pub"]);
    std::fs::remove_file(project.path("users.txt")).expect("the shipped list");
    validate(&project).expect(1).says(&["--> infra/nyc311.yaml:", "users.txt: there is no such file"]);
}
