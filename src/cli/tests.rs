use super::*;

#[test]
fn the_register_makes_a_valid_command_line() {
    command().debug_assert();
    let mut names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COMMANDS.len());
}

#[test]
fn every_command_says_what_it_does_and_shows_examples_that_parse() {
    for command in COMMANDS {
        assert!(!command.about.is_empty() && !command.about.ends_with('.'), "{}", command.name);
        let (_, examples) =
            command.long.split_once("Examples:\n").unwrap_or_else(|| panic!("{}", command.name));
        for example in examples.lines() {
            // What stands beyond two blanks is a remark; a pipe or redirection is the shell's.
            let example = example.trim_start();
            let words = example.split("  ").next().unwrap().split(['>', '|']).next().unwrap();
            let words = words.split_whitespace().map(|word| word.trim_matches('\''));
            let parsed = super::command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn every_exit_has_its_own_number_and_word() {
    for (place, (exit, _)) in Exit::ALL.iter().enumerate() {
        // They count from nothing, but for the one that shells know.
        let code = if *exit == Exit::Interrupted { 130 } else { place };
        assert_eq!(usize::from(exit.code()), code);
        let same = Exit::ALL.iter().filter(|(other, _)| other.word() == exit.word()).count();
        assert_eq!(same, 1);
    }
}

#[test]
fn a_failure_tells_each_cause_once() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot open it: {0}")]
    struct Outer(#[source] std::io::Error);
    let outer = Outer(std::io::Error::other("the disk is full"));
    let failure = Failure::of(Exit::Journal, "no journal", &outer);
    assert_eq!(failure.causes, ["cannot open it: the disk is full"]);
    let failure = Failure::from_error(Exit::Journal, &outer);
    assert_eq!(failure.message, "cannot open it: the disk is full");
    assert!(failure.causes.is_empty());
}
