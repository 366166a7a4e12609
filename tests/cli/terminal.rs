//! On a terminal: the question, and little room.

use crate::support::{cli::Project, world::endpoint};

const QUESTION: &str = "taken for yes";

#[test]
fn only_yes_in_three_letters_is_taken_for_yes() {
    let (project, _) = Project::small(&endpoint());
    for answer in ["YES\n", "Yes\n", "y\n", "\n"] {
        let run = project.on_terminal(80, &["--local", "apply"], QUESTION, answer).expect(1);
        assert!(run.out.contains("not confirmed; nothing was changed"), "{answer:?}: {}", run.out);
    }
    assert_eq!(project.local(&["status", "--json"]).expect(0).json(), serde_json::json!({}));
    project.on_terminal(80, &["--local", "apply"], QUESTION, "yes\n").expect(0);
    project.on_terminal(80, &["--local", "destroy"], QUESTION, "yes\n").expect(0);
}

#[test]
fn ctrl_c_at_the_question_says_that_nothing_was_changed() {
    let (project, _) = Project::small(&endpoint());
    let run = project.on_terminal(80, &["--local", "apply"], QUESTION, "\x03").expect(130);
    let after = run.out.split_once(QUESTION).expect("it asks").1;
    assert!(after.contains("nothing was changed"), "{after}");
    assert_eq!(project.local(&["status", "--json"]).expect(0).json(), serde_json::json!({}));
}

#[test]
fn forty_columns_are_enough() {
    let (project, _) = Project::small(&endpoint());
    for arguments in [&["--local", "plan"][..], &["--local", "status"]] {
        let run = project.on_terminal(40, arguments, "", "").expect(0);
        for line in run.out.lines() {
            assert!(line.chars().count() <= 40, "{} columns: {line}", line.chars().count());
        }
        for word in ["instance/bastion", "bucket/lake"] {
            assert!(run.out.contains(word), "{}", run.out);
        }
    }
}
