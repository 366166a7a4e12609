//! The command line itself: wrong verbs and flags, exit codes, colour.

use crate::support::{
    cli::{Project, Run},
    world::endpoint,
};

#[test]
fn a_misspelt_verb_or_flag_is_answered_with_the_right_one() {
    let (project, _) = Project::small(&endpoint());
    for (arguments, right) in [
        (&["plna"][..], "'plan'"),
        (&["aply", "--yes"], "'apply'"),
        (&["destory"], "'destroy'"),
        (&["statsu"], "'status'"),
        (&["plan", "--onyl", "vpc/main"], "'--only'"),
        (&["destroy", "--empty-bucket"], "'--empty-buckets'"),
    ] {
        project.local(arguments).expect(2).says(&[right, "similar"]);
    }
}

#[test]
fn a_wrong_command_line_exits_with_2_and_a_failure_with_1() {
    let (project, _) = Project::small(&endpoint());
    project.run(&[]).expect(2);
    project.local(&["apply", "--parallelism", "0"]).expect(2);
    project.local(&["apply", "--parallelism", "1000"]).expect(2);
    project.local(&["completions", "tcl"]).expect(2);
    project.local(&["output", "vpc/main.id"]).expect(1);
    project.run(&["--version"]).expect(0);
    project.run(&["--help"]).expect(0);
}

#[test]
fn one_step_at_a_time_is_enough() {
    let (project, _) = Project::small(&endpoint());
    project.local(&["apply", "--yes", "--parallelism", "1"]).expect(0);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes", "--parallelism", "1"]).expect(0);
}

#[test]
fn colour_is_for_who_asks_for_it() {
    let (project, _) = Project::small(&endpoint());
    let plan = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = project.command(None, &[&["--local", "plan"], arguments].concat());
        command.env_remove("NO_COLOR").envs(variables.iter().copied());
        let run: Run = command.output().expect("it starts").into();
        run.expect(0).out
    };
    assert!(!plan(&[], &[]).contains('\x1b'), "off a terminal there is none");
    let forced = [("CLICOLOR_FORCE", "1")];
    let colored = plan(&forced, &[]);
    assert!(colored.contains('\x1b'), "{colored:?}");
    let plain = plan(&forced, &["--no-color"]);
    assert!(!plain.contains('\x1b'), "{plain:?}");
    // What the colours say, the text says as well.
    let mut stripped = String::new();
    let mut rest = colored.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        stripped.push_str(before);
        rest = after.split_once('m').expect("a colour ends").1;
    }
    assert_eq!(stripped + rest, plain);
}
